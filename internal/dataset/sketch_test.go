package dataset

import (
	"math"
	"testing"
)

func TestBinsAreInTheOrderOfNumbers(t *testing.T) {
	values := []float64{-1e100, -3.5, -1, -1e-300, 0, 1e-300, 0.5, 1, 1.0001, 1.001, 2, 1e100}
	for i, x := range values {
		bin := binOf(x)
		if x > binEnd(bin) || binOf(binEnd(bin)) != bin || binOf(math.Nextafter(binEnd(bin), math.Inf(1))) <= bin {
			t.Errorf("%v is in bin %d, which ends at %v", x, bin, binEnd(bin))
		}
		if i > 0 && bin < binOf(values[i-1]) {
			t.Errorf("%v is in bin %d, below that of %v", x, bin, values[i-1])
		}
	}
	if binOf(0) != binOf(math.Copysign(0, -1)) {
		t.Error("0 and -0 are in different bins")
	}
}
