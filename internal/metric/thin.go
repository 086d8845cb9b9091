package metric

import "math"

// A point of a curve that is thinned: y over a rising x.
type point struct{ x, y float64 }

// thin returns which points to keep, at most curvePoints: the first, the last,
// and as many as keep all others within the tolerance.
func thin(points []point) []int {
	for tolerance := float64(curveTolerance); ; tolerance *= 2 {
		if keep := within(points, tolerance); len(keep) <= curvePoints {
			return keep
		}
	}
}

// within keeps points such that each of the others is at most tolerance above or
// below the line between its neighbours. A line reaches as far as it can: from
// the last point kept, the slopes that pass all later ones closely enough are a
// cone, which narrows until a point lies outside.
func within(points []point, tolerance float64) []int {
	if len(points) == 0 {
		return nil
	}
	keep := []int{0}
	low, high := math.Inf(-1), math.Inf(1)
	for i := 1; i < len(points); i++ {
		from := points[keep[len(keep)-1]]
		slope := func(dy float64) float64 { return (points[i].y + dy - from.y) / (points[i].x - from.x) }
		if s := slope(0); s < low || s > high {
			keep = append(keep, i-1)
			from = points[i-1]
			low, high = math.Inf(-1), math.Inf(1)
		}
		low, high = max(low, slope(-tolerance)), min(high, slope(tolerance))
	}
	if last := len(points) - 1; last > 0 {
		keep = append(keep, last)
	}
	return keep
}
