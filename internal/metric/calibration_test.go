package metric

import (
	"math"
	"testing"
)

// Against the unpenalised fit in numpy, by Newton steps until none is above 1e-12.
func TestCalibration(t *testing.T) {
	p := []float64{0.9, 0.8, 0.7, 0.65, 0.5, 0.45, 0.4, 0.3, 0.25, 0.2, 0.15, 0.1}
	positive := []bool{true, true, false, true, true, false, false, true, false, false, true, false}
	c := calibrate(p, positive)
	got := []float64{c.Intercept.Value, c.Slope.Value, c.Intercept.StdError, c.Slope.StdError}
	for i, want := range []float64{0.18625156228615955, 0.7257275470967887, 0.6511739075667999, 0.5586476497142905} {
		if math.Abs(got[i]-want) > 1e-9 {
			t.Errorf("intercept, slope and their standard errors are %v, want %v in place %d", got, want, i)
		}
	}
	for name, labels := range map[string][]bool{
		"one class": make([]bool, 12), "separated": {true, true, true, true, 11: false},
	} {
		if c := calibrate(p, labels); c != nil {
			t.Errorf("%s: %+v, want no calibration", name, c)
		}
	}
}
