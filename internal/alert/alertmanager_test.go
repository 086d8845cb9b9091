package alert

import (
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"churn/internal/testing/need"
	"churn/internal/testing/programs"

	"github.com/go-json-experiment/json"
)

// alertmanager is a real one.
type alertmanager struct {
	binary, dir, addr string
	cmd               *exec.Cmd
}

// newAlertmanager finds a free port for one, and does not start it.
func newAlertmanager(t *testing.T) *alertmanager {
	t.Helper()
	binary := need.Program(t, "prometheus-alertmanager", "prometheus-alertmanager")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a := &alertmanager{binary: binary, dir: t.TempDir(), addr: l.Addr().String()}
	config := "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"
	if err := os.WriteFile(filepath.Join(a.dir, "alertmanager.yml"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	return a
}

func (a *alertmanager) start(t *testing.T) {
	t.Helper()
	a.cmd = exec.Command(a.binary, "--config.file="+filepath.Join(a.dir, "alertmanager.yml"),
		"--storage.path="+filepath.Join(a.dir, "data"),
		"--web.listen-address="+a.addr, "--web.route-prefix=/am", "--cluster.listen-address=")
	var output strings.Builder // read once the process has ended
	a.cmd.Stdout, a.cmd.Stderr = &output, &output
	if err := a.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	cmd := a.cmd
	t.Cleanup(func() {
		cmd.Process.Kill() // an error: it has ended already
		cmd.Wait()
		if t.Failed() {
			t.Logf("alertmanager said:\n%s", output.String())
		}
	})
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if answer, err := http.Get("http://" + a.addr + "/am/-/ready"); err == nil {
			answer.Body.Close()
			if answer.StatusCode == 200 {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatal("alertmanager does not get ready")
		}
	}
}

type gettable struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	StartsAt    time.Time         `json:"startsAt"`
	EndsAt      time.Time         `json:"endsAt"`
	Fingerprint string            `json:"fingerprint"`
}

// alerts returns the firing alerts, by column and check.
func (a *alertmanager) alerts(t *testing.T) map[string]gettable {
	t.Helper()
	answer, err := http.Get("http://" + a.addr + "/am/api/v2/alerts")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	var list []gettable
	if err != nil || json.Unmarshal(b, &list) != nil {
		t.Fatalf("%v: %s", err, b)
	}
	byName := map[string]gettable{}
	for _, g := range list {
		byName[g.Labels["column"]+"/"+g.Labels["check"]] = g
	}
	if len(byName) != len(list) {
		t.Errorf("two alerts of one check: %s", b)
	}
	return byName
}

func wantNames(t *testing.T, alerts map[string]gettable, want ...string) {
	t.Helper()
	if got := slices.Sorted(maps.Keys(alerts)); !slices.Equal(got, want) {
		t.Errorf("alerts %q, want %q", got, want)
	}
}

func TestAlertmanager(t *testing.T) {
	a := newAlertmanager(t)
	s, clock := newSender(t, "http://"+a.addr+"/am/")
	s.Format, s.Labels = Alertmanager, map[string]string{"env": "prod", "severity": "page"}
	s.Timeout = 2 * time.Second
	clock.pass(-3 * time.Hour) // the last runs below are at present, by Alertmanager's own clock
	notify := func(f Finding) Outcome { return s.Notify(t.Context(), f) }

	// While it is down, alerts are queued.
	first := s.now()
	want(t, notify(found("region/levels")), Firing, 0, 1, false)
	a.start(t)
	wantNames(t, a.alerts(t))

	// The next run after its start delivers them.
	clock.pass(time.Hour)
	hostile := "naïve \"col\"\n{x=\"y\"}\xff"
	want(t, notify(found("region/levels", hostile+"/lab_z")), Firing, 2, 0, false)
	got := a.alerts(t)
	hostile = strings.ToValidUTF8(hostile, "\ufffd")
	wantNames(t, got, hostile+"/lab_z", "region/levels")
	region := got["region/levels"]
	labels := map[string]string{
		"alertname": "ChurnDrift", "column": "region", "check": "levels", "env": "prod", "severity": "page",
	}
	if !maps.Equal(region.Labels, labels) {
		t.Errorf("labels %v, want %v", region.Labels, labels)
	}
	annotations := map[string]string{
		"summary": "Drift of region (levels)", "description": "0.5 std, alert from 0.2, in the last 200 predictions",
		"model": "m.json", "records": "200",
	}
	if !maps.Equal(region.Annotations, annotations) {
		t.Errorf("annotations %v, want %v", region.Annotations, annotations)
	}
	if !region.StartsAt.Equal(first) || !region.EndsAt.Equal(s.now().Add(26*time.Hour)) {
		t.Errorf("from %v to %v, want %v to 26 hours from %v", region.StartsAt, region.EndsAt, first, s.now())
	}

	// Within the cooldown nothing is sent. After it the end moves and all else stays, with another model too.
	clock.pass(59 * time.Minute)
	want(t, notify(found("region/levels", hostile+"/lab_z")), Firing, 0, 0, true)
	clock.pass(time.Minute)
	f := found("region/levels", hostile+"/lab_z")
	f.Model = "other.json"
	want(t, notify(f), Firing, 1, 0, false)
	again := a.alerts(t)["region/levels"]
	if again.Fingerprint != region.Fingerprint || !again.StartsAt.Equal(first) ||
		!again.EndsAt.Equal(s.now().Add(26*time.Hour)) || again.Annotations["model"] != "other.json" {
		t.Errorf("sent again it is %+v, and was %+v", again, region)
	}

	// One is resolved, then the other. Our clock is half a minute fast.
	clock.Time = time.Now().Add(30 * time.Second)
	want(t, notify(found("region/levels")), Firing, 2, 0, false)
	wantNames(t, a.alerts(t), "region/levels")
	tooFew := found()
	tooFew.NotEvaluated = func(column, _ string) bool { return column == "region" }
	want(t, notify(tooFew), None, 0, 0, false)
	wantNames(t, a.alerts(t), "region/levels")
	want(t, notify(found()), Resolved, 1, 0, false)
	wantNames(t, a.alerts(t))
	want(t, notify(found()), None, 0, 0, false)

	// Back within the cooldown, it fires again.
	want(t, notify(found("region/levels")), Firing, 1, 0, false)
	wantNames(t, a.alerts(t), "region/levels")
}

// An alert that fired and was resolved while Alertmanager was down is resolved when it is up again.
func TestAlertmanagerWasDown(t *testing.T) {
	a := newAlertmanager(t)
	a.start(t)
	s, _ := newSender(t, "http://"+a.addr+"/am/api/v2/alerts")
	s.Format, s.Timeout = Alertmanager, 2*time.Second
	want(t, s.Notify(t.Context(), found("a/mean", "b/mean")), Firing, 1, 0, false)
	a.cmd.Process.Kill()
	a.cmd.Wait()
	want(t, s.Notify(t.Context(), found("a/mean", "c/mean")), Firing, 0, 2, false) // b is over, c is new
	a.start(t)
	wantNames(t, a.alerts(t)) // it keeps none across a restart
	want(t, s.Notify(t.Context(), found("a/mean", "c/mean")), Firing, 2, 0, true)
	wantNames(t, a.alerts(t), "a/mean", "c/mean")
	want(t, s.Notify(t.Context(), found()), Resolved, 1, 0, false)
	wantNames(t, a.alerts(t))
}

// An alert expires when drift is not run any more.
func TestAlertmanagerForgets(t *testing.T) {
	a := newAlertmanager(t)
	a.start(t)
	s, clock := newSender(t, "http://"+a.addr+"/am")
	s.Format = Alertmanager
	clock.pass(-26*time.Hour + 3*time.Second)
	want(t, s.Notify(t.Context(), found("a/mean")), Firing, 1, 0, false)
	wantNames(t, a.alerts(t), "a/mean")
	for deadline := time.Now().Add(30 * time.Second); len(a.alerts(t)) > 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the alert does not expire")
		}
	}
	if left := s.now().Add(26 * time.Hour); time.Now().Before(left) {
		t.Errorf("the alert expired %v early", time.Until(left))
	}
}

func TestAlertmanagerURL(t *testing.T) {
	check := func(base, want string) {
		t.Helper()
		u, err := url.Parse(base)
		if err != nil {
			t.Fatal(err)
		}
		if got := alertmanagerURL(u).String(); got != want {
			t.Errorf("alertmanagerURL(%s) = %s, want %s", base, got, want)
		}
	}
	check("http://h:9093", "http://h:9093/api/v2/alerts")
	check("http://h:9093/", "http://h:9093/api/v2/alerts")
	check("https://u:p@h/am?x=y", "https://u:p@h/am/api/v2/alerts?x=y")
	check("http://h/am/api/v2/alerts", "http://h/am/api/v2/alerts")
	check("http://h/am/api/v2/alerts/", "http://h/am/api/v2/alerts")
}

// Outcomes that turn reach Alertmanager from the whole program, with their sentence.
func TestTurnedOutcomesReachAlertmanager(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the programs")
	}
	a := newAlertmanager(t)
	a.start(t)
	l := programs.NewLoop(t, programs.Build(t))
	l.Start()
	labels := "request_id,churn\n"
	for i := range 120 {
		tenure, complaints, label := 2+i%5, 5, 0 // who stays, though customers like that left
		if i%2 == 1 {
			tenure, complaints, label = 55+i%4, 0, 1
		}
		status, answer := l.Post("/predict", fmt.Sprintf(`{"request_id":"c%d","tenure_months":%d,"num_complaints":%d,`+
			`"avg_session_minutes":30,"plan_type":"basic","region":"EU"}`, i, tenure, complaints))
		if status != 200 {
			t.Fatalf("%d %s", status, answer)
		}
		labels += fmt.Sprintf("c%d,%d\n", i, label)
	}
	programs.WriteFile(t, l.Path("labels.csv"), labels)
	status, out, err := l.Exec("drift", "--labels", l.Path("labels.csv"), "--alert-format", "alertmanager",
		"--alert-url", "http://"+a.addr+"/am/")
	if status != 1 {
		t.Fatalf("drift ended with %d: %v\n%s", status, err, out)
	}
	got, ok := a.alerts(t)["(outcomes)/accuracy vs test"]
	if !ok || !strings.Contains(fmt.Sprint(got.Annotations), "the realised accuracy is 0.") {
		t.Errorf("Alertmanager has %+v of %q", got, slices.Collect(maps.Keys(a.alerts(t))))
	}
}
