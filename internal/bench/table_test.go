package bench

import (
	"fmt"
	"strings"
	"time"
)

// limits are required of a step; 0 means none.
type limits struct {
	ratio float64 // at least, of the peer's time to ours
	ms    float64 // at most
	mb    float64 // at most, in 10⁶ bytes
}

const columns = "%-20s %-16s %9s %9s %7s %9s %9s %7s %7s %7s  %s\n"

func printHeader() {
	fmt.Printf(columns, "step", "peer", "ours_ms", "peer_ms", "ratio", "required",
		"user/wall", "MB", "max_MB", "peer_MB", "")
}

// printLine prints a step's line of the table. peer may be nil.
func printLine(step, name string, ours, peer *sample, l limits) {
	var missed []string
	miss := func(what string, is bool) {
		if is {
			missed = append(missed, what)
		}
	}
	peerMS, ratio, peerMB := "-", "-", "-"
	if peer != nil {
		r := float64(peer.wall) / float64(ours.wall)
		peerMS, ratio, peerMB = ms(peer.wall), fmt.Sprintf("%.1f", r), mb(peer.peak)
		miss("time", r < l.ratio)
	} else if name != "" {
		name = "(" + name + ")"
	}
	required := "-"
	switch {
	case l.ratio > 0:
		required = fmt.Sprintf("%g x", l.ratio)
	case l.ms > 0:
		required = fmt.Sprintf("%g ms", l.ms)
		miss("time", ours.wall.Seconds()*1000 >= l.ms)
	}
	maxMB := "-"
	if l.mb > 0 {
		maxMB = fmt.Sprintf("%.0f", l.mb)
		miss("memory", float64(ours.peak)/1e6 > l.mb)
	}
	verdict := ""
	if len(missed) > 0 {
		verdict = "MISSED: " + strings.Join(missed, ", ")
	}
	fmt.Printf(columns, step, name, ms(ours.wall), peerMS, ratio, required,
		fmt.Sprintf("%.2f", float64(ours.user)/float64(ours.wall)), mb(ours.peak), maxMB, peerMB, verdict)
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f", d.Seconds()*1000) }

func mb(bytes int64) string {
	if bytes == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f", float64(bytes)/1e6)
}
