package dataset

// An Objection tells why a value that was logged cannot be scored.
type Objection string

// The objections.
const (
	Absent    Objection = "missing"      // and the feature is not optional
	OtherType Objection = "another type" // a text for a number, or a number for a category
	Outside   Objection = "not allowed"  // whole, validate, or the range of all numbers
)

// CheckValue judges a value that has its type already, such as one in the log, by
// the checks that a service has: CheckNumber and CheckLevel, and that what is
// missing is optional. The objection is "" for a value that may be scored; detail
// says what is wrong with one that is not allowed.
func (f *Feature) CheckValue(v Value) (checked Value, objection Objection, detail string) {
	var problem *Problem
	switch {
	case v.Missing:
		checked = Value{Missing: true, Level: f.Type == Category}
	case v.Level != (f.Type == Category):
		return v, OtherType, ""
	case v.Level:
		checked, problem = f.CheckLevel(v.Text)
	default:
		checked, problem = f.CheckNumber(v.Number)
	}
	switch {
	case problem != nil:
		return checked, Outside, problem.Error()
	case checked.Missing && !f.Optional:
		return checked, Absent, ""
	}
	return checked, "", ""
}
