package bench

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// limits are required of a step; 0 means none.
type limits struct {
	ratio float64 // at least, of the peer's time to ours
	ms    float64 // at most
	mb    float64 // at most, in 10⁶ bytes
	peer  bool    // no more memory than the peer
}

// A line compares a step with a peer on a shape; "" is the shape of what has no peer.
type line struct {
	shape, step, peer string
	ours, theirs      series
	limits            limits
}

// ratio is +Inf if the peer is not there.
func (l line) ratio() float64 {
	if l.theirs == nil {
		return math.Inf(1)
	}
	ratio, _, _ := l.theirs.over(l.ours)
	return ratio
}

const columns = "  %-18s %-16s %8s %8s %6s %11s %6s %5s %6s %7s  %s"

// printTable prints the lines of each shape, the shape with the smallest ratio first.
func printTable(lines []line) {
	worst := map[string]float64{"": math.Inf(1)}
	for _, l := range lines {
		if least, seen := worst[l.shape]; !seen || l.shape != "" && l.ratio() < least {
			worst[l.shape] = l.ratio()
		}
	}
	slices.SortStableFunc(lines, func(x, y line) int {
		return cmp.Or(cmp.Compare(worst[x.shape], worst[y.shape]), -cmp.Compare(x.shape, y.shape))
	})
	print := func(cells ...any) { fmt.Println(strings.TrimRight(fmt.Sprintf(columns, cells...), " ")) }
	print("step", "peer", "ours_ms", "peer_ms", "ratio", "min-max", "asked", "MB", "max_MB", "peer_MB", "")
	for i, l := range lines {
		if i == 0 || l.shape != lines[i-1].shape {
			fmt.Printf("\n%s\n", cmp.Or(l.shape, "without peers"))
		}
		print(l.cells()...)
	}
}

// cells returns the cells of a line, the last one for what it misses.
func (l line) cells() []any {
	var missed []string
	miss := func(what string, is bool) {
		if is {
			missed = append(missed, what)
		}
	}
	name, peerMS, ratio, spread, peerMB := l.peer, "-", "-", "-", "-"
	if l.theirs != nil {
		r, least, most := l.theirs.over(l.ours)
		peerMS, ratio, peerMB = ms(l.theirs.wall()), digits(r), mb(l.theirs.peak())
		if len(l.theirs) > 1 {
			spread = digits(least) + "-" + digits(most)
		}
		if l.limits.peer {
			l.limits.mb = float64(l.theirs.peak()) / 1e6
		}
		miss("time", r < l.limits.ratio)
	} else if name != "" {
		name = "(" + name + ")"
	}
	required := "-"
	switch {
	case l.limits.ratio > 0:
		required = fmt.Sprintf("%g x", l.limits.ratio)
	case l.limits.ms > 0:
		required = fmt.Sprintf("%g ms", l.limits.ms)
		miss("time", l.ours.wall().Seconds()*1000 >= l.limits.ms)
	}
	maxMB := "-"
	if l.limits.mb > 0 {
		maxMB = fmt.Sprintf("%.0f", l.limits.mb)
		miss("MB", float64(l.ours.peak())/1e6 > l.limits.mb)
	}
	verdict := ""
	if len(missed) > 0 {
		verdict = "MISSED " + strings.Join(missed, ", ")
	}
	ourMS, ourMB := ms(l.ours.wall()), mb(l.ours.peak())
	return []any{l.step, name, ourMS, peerMS, ratio, spread, required, ourMB, maxMB, peerMB, verdict}
}

// digits formats a ratio; one below 10 has two decimals.
func digits(ratio float64) string {
	if ratio < 10 {
		return fmt.Sprintf("%.2f", ratio)
	}
	return fmt.Sprintf("%.1f", ratio)
}

func ms(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%.1f", d.Seconds()*1000)
	}
	return fmt.Sprintf("%.0f", d.Seconds()*1000)
}

func mb(bytes int64) string {
	if bytes == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f", float64(bytes)/1e6)
}
