package dataset

import (
	"math"
	"testing"
)

func TestNotations(t *testing.T) {
	comma := Notation{Decimal: ","}
	french := Notation{Decimal: ",", Thousands: " ", Unit: "€"}
	german := Notation{Decimal: ",", Thousands: "."}
	swiss := Notation{Thousands: "'", Unit: "CHF"}
	english := Notation{Thousands: ",", Unit: "$"}
	percent := Notation{Decimal: ",", Unit: "%"}
	day := Notation{Date: DayFirst, AsOf: "2025-03-01"}
	month := Notation{Date: MonthFirst, AsOf: "2025-03-01"}
	year := Notation{Date: YearFirst, AsOf: "2025-03-01"}
	excel := Notation{Date: ExcelSerial, AsOf: "2025-03-01"}
	epoch := Notation{Date: Epoch, AsOf: "2025-03-01"}
	millis := Notation{Date: EpochMillis, AsOf: "2025-03-01"}
	for _, c := range []struct {
		n    Notation
		text string
		want float64 // NaN: no number
	}{
		{year, "2025年2月3日", 26}, {year, "2025年2月3日 12:30", 26},
		{year, "2025년 2월 3일", 26}, {year, "2025. 2. 3.", 26},
		{day, "3. 2. 2025", 26}, {day, "1er mars 2025", 0}, {day, "3 de febrero de 2025", 26},
		{day, "3rd of May 2025", math.NaN()},
		{Notation{}, "1234.5", 1234.5}, {Notation{}, "=0.45", 0.45}, {Notation{}, "1,5", math.NaN()},
		{comma, "12,5", 12.5}, {comma, "-0,25", -0.25}, {comma, "12.5", math.NaN()}, {comma, "1,2,3", math.NaN()},
		{comma, "1,20E+03", 1200}, {comma, "5e-1", 0.5}, {comma, "1,2e", math.NaN()}, {comma, "1e2e3", math.NaN()},
		{comma, "12,", math.NaN()}, {comma, ",5", 0.5}, {comma, "", math.NaN()}, {comma, "=12.5", 12.5},
		{german, "1.024", 1024}, {german, "1.024,5", 1024.5}, {german, "10.24", math.NaN()}, {german, "1024", 1024},
		{german, "1.0245", math.NaN()}, {german, ".024", math.NaN()}, {german, "1..024", math.NaN()},
		{french, "1 234,50 €", 1234.5}, {french, "1\u00a0234,50\u00a0€", 1234.5}, {french, "1\u202f234 €", 1234},
		{french, "-1 234 €", -1234}, {french, "(12,50 €)", -12.5}, {french, "12,50", 12.5},
		{french, "12,50 $", math.NaN()},
		{swiss, "CHF 1'234.50", 1234.5}, {swiss, "1’234.50 CHF", 1234.5}, {swiss, "- CHF 5", -5},
		{english, "$1,234.50", 1234.5}, {english, "($5.00)", -5}, {english, "-$5", -5}, {english, "−5 $", -5},
		{english, "$1,23", math.NaN()},
		{english, "12,34,567.50 $", 1234567.5}, {english, "1,23,45", math.NaN()},
		{german, "12.34.567", math.NaN()}, {english, "5-", -5},
		{percent, "34,1 %", 0.341}, {percent, "0,7%", 0.007}, {percent, "34,1", math.NaN()}, {percent, "=0.341", 0.341},
		{day, "01/03/2025", 0}, {day, "28.2.2025", 1}, {day, "2-3-2025 10:30", -1}, {day, "1/3/2024", 365},
		{day, "31/02/2025", math.NaN()}, {day, "13/13/2025", math.NaN()}, {day, "00/00/0000", math.NaN()},
		{day, "2025-03-01", math.NaN()}, {day, "1/3/25", 0}, {day, "01.03.25", 0}, {day, "=31", 31}, {day, "//", math.NaN()},
		{day, "1.3.25", math.NaN()}, {day, "31-12-69", 20149}, {day, "1/1/68", -15646}, {day, "1/3/125", math.NaN()},
		{day, "1-Mar-25", 0}, {day, "28 février 2025", 1}, {day, "1. März 2025", 0}, {day, "01-MÄR-2025", 0},
		{day, "01mar2025 10:30", 0}, {day, "28-FEB-25", 1}, {day, "01-OCT-24", 151}, {day, "Mar 1, 2025", math.NaN()},
		{day, "1 xyz 2025", math.NaN()}, {day, "Mar-25", math.NaN()}, {day, "1-Mar", math.NaN()},
		{month, "Mar 1, 2025", 0}, {month, "February 28 2025 9:05:00 AM", 1}, {month, "3/1/2025 11:59 pm", 0},
		{month, "1-Mar-25", math.NaN()}, {month, "Mar 2025", math.NaN()}, {month, "2/28/25", 1}, {month, "02-28-25", 1},
		{year, "2025-Feb-28", 1}, {year, "2025-02", math.NaN()},
		{day, "03/2025", math.NaN()}, {year, "25-02-28", math.NaN()}, {year, "20250228", 1},
		{year, "2025/02/28 1:00:00 PM GMT+1", 1}, {year, "2025-02-28 10:00 UTC", 1}, {year, "2025-02-28 noon", math.NaN()},
		{year, "2025-02-28T23:59:59-11:00", 1}, {year, "20250231", math.NaN()},
		{day, "20250228", math.NaN()},
		{excel, "45717", 0}, {excel, "45716.999", 1}, {excel, "61", 45656}, {excel, "60", math.NaN()},
		{excel, "1e300", math.NaN()},
		{excel, "2025-03-01", math.NaN()}, {excel, "2958465", 45717 - 2958465}, {excel, "2958466", math.NaN()},
		{epoch, "1740787200", 0}, {epoch, "1740787199", 1}, {epoch, "1740787199.5", 1}, {epoch, "-1", 20149},
		{epoch, "x", math.NaN()},
		{millis, "1740787200000", 0}, {millis, "1740787199999", 1}, {millis, "-1e300", math.NaN()}, {millis, "=5", 5},
	} {
		if x, ok := c.n.Parse(c.text); ok != !math.IsNaN(c.want) || ok && x != c.want {
			t.Errorf("%+v reads %q as %v, %v, want %v", c.n, c.text, x, ok, c.want)
		}
	}
}

func TestUnits(t *testing.T) {
	for text, want := range map[string][2]string{
		"12 GB": {"12", "GB"}, "45min": {"45", "min"}, "€ 5": {"5", "€"}, "US$ 5": {"5", "US$"}, "EUR 5": {"5", "EUR"},
		"3 m²": {"3", "m²"}, "20 °C": {"20", "°C"}, "5 €/month": {"5", "€/month"},
		"12,5 Min.": {"12,5", "Min."}, "(Rs. 1,200.50)": {"-1,200.50", "Rs."}, "kr.5": {"5", "kr."}, "5 m.d.": {"5", "m.d."},
		"€ .5": {".5", "€"}, "5.": {"5.", ""}, "%41": {"41", "%"}, "3‰": {"3", "‰"}, "No. 5": {"No. 5", ""},
		"FR0017": {"FR0017", ""}, "Rp10.000": {"10.000", "Rp"},
		"a.": {"a.", ""}, ".": {".", ""}, "3. OG": {"3.", "OG"},
		"C17": {"C17", ""}, "A1B": {"A1B", ""}, "17": {"17", ""}, "one": {"one", ""}, "": {"", ""},
		"00:03:24": {"204", Seconds}, "1:30": {"90", Minutes}, "100:00:00": {"360000", Seconds}, "3:75": {"3:75", ""},
		"1st of many words": {"1st of many words", ""}, "id 5": {"id 5", ""}, "5 € per 2": {"5 € per 2", ""},
	} {
		if number, unit := CutUnit(text); number != want[0] || unit != want[1] {
			t.Errorf("%q: %q and %q, want %q", text, number, unit, want)
		}
	}
}

func TestPartsOfDates(t *testing.T) {
	for _, c := range []struct{ part, text, want string }{
		{Month, "05/03/2025", "03"}, {Month, "03", "03"}, {Month, "13", ""}, {Month, "31/02/2025", ""},
		{Weekday, "03/03/2025", "1 Mon"}, {Weekday, "09/03/2025", "7 Sun"}, {Weekday, "7 Sun", "7 Sun"}, {Weekday, "Sun", ""},
	} {
		n := Notation{Date: DayFirst, Part: c.part}
		if err := n.check(false); err != nil {
			t.Fatal(err)
		}
		if got, ok := n.level(c.text); ok != (c.want != "") || ok && got != c.want {
			t.Errorf("the %s of %q is %q, %v, want %q", c.part, c.text, got, ok, c.want)
		}
	}
}

func TestNotationsThatCannotBe(t *testing.T) {
	for _, n := range []Notation{
		{Decimal: ";"}, {Decimal: ",", Thousands: ","}, {Thousands: "."}, {Thousands: "_"}, {AsOf: "2025-01-01"},
		{Date: "ydm", AsOf: "2025-01-01"}, {Date: DayFirst}, {Date: DayFirst, AsOf: "1/1/2025"},
		{Date: DayFirst, Part: Month}, {Date: DayFirst, AsOf: "2025-01-01", Decimal: ","}, {Date: Epoch},
		{Date: "unix", AsOf: "2025-01-01"},
	} {
		if err := n.check(true); err == nil {
			t.Errorf("%+v is accepted", n)
		}
	}
	for _, n := range []Notation{{Decimal: ","}, {Date: DayFirst}, {Date: DayFirst, Part: "year"}, {Part: Month},
		{Date: Epoch, Part: Month}, {Date: DayFirst, AsOf: "2025-01-01", Part: Month}} {
		if err := n.check(false); err == nil {
			t.Errorf("a category has %+v", n)
		}
	}
}

func TestNotationsInWords(t *testing.T) {
	french := Notation{Decimal: ",", Thousands: " ", Unit: "€"}
	day := Notation{Date: DayFirst, AsOf: "2025-03-01"}
	share, call, watch := Notation{Unit: Percent}, Notation{Unit: Seconds}, Notation{Unit: Minutes}
	month := Notation{Date: DayFirst, Part: Month}
	epoch := Notation{Date: Epoch, AsOf: "2025-03-01"}
	for _, c := range []struct{ got, want string }{
		{french.String(), "numbers, decimal comma, spaces between thousands, unit €"},
		{share.String(), "numbers, percent: 18 % is 0.18"},
		{day.String(), "dates with the day first: days before 2025-03-01"},
		{french.Format(1234.56), "1235 €"}, {french.Format(1.25), "1,25 €"}, {share.Format(0.341), "34.1 %"},
		{day.Format(1), "28/02/2025"}, {epoch.Format(1), "2025-02-28"},
		{call.String(), "numbers, durations: 0:03:24 is 204 seconds"}, {call.Format(204.4), "0:03:24"},
		{watch.String(), "numbers, durations: 1:30 is 90"}, {watch.Format(90), "1:30"},
		{month.String(), "dates with the day first: their month"},
		{epoch.String(), "dates as seconds since 1970 (UTC): days before 2025-03-01"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}
