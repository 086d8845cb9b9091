package dataset

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
)

func TestParseNumber(t *testing.T) {
	check := func(s string, want float64) {
		t.Helper()
		if got, ok := ParseNumber(s); !ok || got != want {
			t.Errorf("ParseNumber(%q) = %v, %v, want %v", s, got, ok, want)
		}
	}
	check("6", 6)
	check("6.0", 6)
	check("+6", 6)
	check("-.5", -0.5)
	check("5.", 5)
	check("007", 7)
	check("1e3", 1000)
	check("1E-3", 0.001)
	check("1e-999", 0)
	for _, s := range []string{"", "-", ".", "e", "NaN", "nan", "Inf", "-Inf", "infinity", "1e999", "-1e999", "0x10",
		"0x1p4", "1_000", "1,5", "1 000", " 1", "١", "1-2"} {
		if got, ok := ParseNumber(s); ok {
			t.Errorf("ParseNumber(%q) = %v, want it rejected", s, got)
		}
	}
}

func FuzzParseNumber(f *testing.F) {
	for _, s := range []string{"6.50", "-1e-7", "1e999", "0x1p-2", "1_0", "inf", "+.5"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := ParseNumber(s)
		want, err := strconv.ParseFloat(s, 64)
		plain := strings.Trim(s, "0123456789+-.eE") == ""
		if ok != (err == nil && plain) {
			t.Fatalf("ParseNumber(%q) = %v, %v, strconv has %v, %v", s, got, ok, want, err)
		}
		if ok && (got != want || math.IsNaN(got) || math.IsInf(got, 0)) {
			t.Fatalf("ParseNumber(%q) = %v, want %v and finite", s, got, want)
		}
	})
}

// FuzzParseDecimal: the fast path gives what strconv gives, bit for bit.
func FuzzParseDecimal(f *testing.F) {
	for _, s := range []string{"0", "-0", "1.50", "-12.345", "999999999999999", "9007199254740993", "0.000000000000001",
		"1e5", ".5", "5.", "--1", "1.2.3", "00012", "123456789012345.6", "4.027723094072399", "-0.11548555027852647",
		"9007199254740993.0", "9999999999999999999", "18446744073709551615", "1844674407370955161.5", "0.0000000000000000001",
		"36028797018963970.5", "1.12345678x1234567"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := ParseDecimal(s)
		if !ok {
			return
		}
		want, err := strconv.ParseFloat(s, 64)
		if err != nil || math.Float64bits(got) != math.Float64bits(want) {
			t.Fatalf("%q: %v, strconv has %v, %v", s, got, want, err)
		}
	})
}

func TestDecimalsAgreeWithStrconv(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	for range 300_000 {
		s := strconv.FormatFloat((rng.Float64()-0.5)*math.Pow10(rng.IntN(16)), 'f', rng.IntN(20)-1, 64)
		got, ok := ParseNumber(s)
		want, err := strconv.ParseFloat(s, 64)
		if !ok || err != nil || math.Float64bits(got) != math.Float64bits(want) {
			t.Fatalf("%q: %v %v, strconv has %v, %v", s, got, ok, want, err)
		}
	}
}

// TestDecimalRoundsHalfToEven: quotients halfway between two numbers, and a unit of the last digit beside them.
func TestDecimalRoundsHalfToEven(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	for range 200_000 {
		places := rng.IntN(len(powersOfTen))
		halfway := new(big.Int).SetUint64(1<<53 + rng.Uint64N(1<<53) | 1) // 54 bits, the last one set
		halfway.Mul(halfway, new(big.Int).Exp(big.NewInt(5), big.NewInt(int64(places)), nil))
		for halfway.BitLen() > 64 { // then it is not exact, but as good as any
			halfway.Rsh(halfway, 1)
		}
		digits := halfway.Uint64() + uint64(rng.IntN(3)) - 1
		got, ok := Decimal(digits, places)
		want, err := strconv.ParseFloat(fmt.Sprintf("%de-%d", digits, places), 64)
		if !ok || err != nil || math.Float64bits(got) != math.Float64bits(want) {
			t.Fatalf("Decimal(%d, %d) = %v %v, strconv has %v, %v", digits, places, got, ok, want, err)
		}
	}
}

func BenchmarkParseNumber(b *testing.B) {
	for _, s := range []string{"21.50", "4.027723094072399", "-0.11548555027852647", "1.2345678901234e-07"} {
		b.Run(s, func(b *testing.B) {
			for b.Loop() {
				if _, ok := ParseNumber(s); !ok {
					b.Fatal(s)
				}
			}
		})
	}
}

func TestWordsForYesAndNo(t *testing.T) {
	for _, pair := range []string{
		"Yes No", "Y n", "TRUE false", "1 0", "oui non", "Ja Nein", "sí no", "Sim Não", "ano ne", "Tak Nie", "igen nem",
		"kyllä ei", "Да Нет", "так ні", "ναι όχι", "ya tidak", "是 否",
	} {
		yes, no, _ := strings.Cut(pair, " ")
		first, known := YesNo(yes)
		second, alsoKnown := YesNo(no)
		if !first || !known || second || !alsoKnown {
			t.Errorf("%s: %t (%t), %t (%t)", pair, first, known, second, alsoKnown)
		}
	}
	for _, other := range []string{"", " ", "maybe", "yes no", "2"} {
		if _, known := YesNo(other); known {
			t.Errorf("%q is a word for yes or no", other)
		}
	}
}
