package parquet

import (
	"testing"

	"github.com/parquet-go/parquet-go"
)

func TestDecimals(t *testing.T) {
	check := func(v parquet.Value, of parquet.Type, scale int, want string) {
		t.Helper()
		if got := decimal(parquet.Decimal(scale, 4, of).Type(), scale)(v); got != want {
			t.Errorf("decimal(%v, %d) = %s, want %s", v, scale, got, want)
		}
	}
	bytes := parquet.FixedLenByteArrayType(2)
	check(parquet.Int32Value(0), parquet.Int32Type, 2, "0.00")
	check(parquet.Int32Value(5), parquet.Int32Type, 2, "0.05")
	check(parquet.Int32Value(-1234), parquet.Int32Type, 2, "-12.34")
	check(parquet.Int32Value(-1234), parquet.Int32Type, 0, "-1234")
	check(parquet.Int64Value(1234), parquet.Int64Type, 4, "0.1234")
	check(parquet.FixedLenByteArrayValue([]byte{0xff, 0xfb}), bytes, 1, "-0.5")
	check(parquet.FixedLenByteArrayValue([]byte{0x04, 0xd2}), bytes, 1, "123.4")
}
