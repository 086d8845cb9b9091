package load_test

import (
	"archive/zip"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"churn/internal/testing/need"
	"churn/internal/testing/programs"
)

// The versions that are upgraded and gone back to, as commits of this repository.
const (
	// The last whose services lock the log itself. It reads the models of today, those with curves (format 2) too,
	// but not the schema of a file with its own notation of numbers.
	earlierLock = "fa335351a4d5e8f9bff81acdea7819b985e9d6b5"

	// The first that documents how to restart replicas without losing a request, and so the oldest that this test can
	// restart. It knows format 1 alone, rejects any key that it does not know, and so each model of today; it has no
	// pruning, goes back by the order of metadata.json, and the journal and alerts.jsonl have fewer kinds of lines.
	earlierModels = "c19aa0c34f3dedc41c32427b9556565d8a747539"
)

// TestUpgrade replaces three services behind nginx, one after the other, by those of another version and
// back, as docs/operate.md says, while the programs of both versions change the folder.
func TestUpgrade(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds earlier versions")
	}
	need.Program(t, "nginx", "nginx-light")
	bin := programs.Build(t)
	t.Run("of the lock", func(t *testing.T) { testUpgrade(t, buildCommit(t, earlierLock), bin, nil) })
	t.Run("of models", func(t *testing.T) {
		testUpgrade(t, buildCommit(t, earlierModels), bin,
			regexp.MustCompile(`_model_n.*: (not a model: .*: unknown key|model format 2, this program reads format 1)`))
	})
}

// buildCommit builds the programs of an earlier commit.
func buildCommit(t *testing.T, commit string) (bin string) {
	t.Helper()
	program, root, dir := need.Program(t, "git", "git"), programs.Root(t), t.TempDir()
	git := func(args ...string) (string, error) {
		out, err := exec.Command(program, append([]string{"-C", root}, args...)...).CombinedOutput()
		return strings.TrimSpace(string(out)), err
	}
	if out, err := git("ls-files", "--error-unmatch", "go.mod"); err != nil {
		t.Skipf("SKIPPED: it builds earlier versions, and there is no history: git clone the project: %s", out)
	}
	if out, err := git("rev-parse", "--is-shallow-repository"); err != nil || out == "true" {
		t.Skipf("SKIPPED: it builds earlier versions, and this clone is shallow: git fetch --unshallow (%s, %v)", out, err)
	}
	archive := filepath.Join(dir, "source.zip")
	if out, err := git("archive", "-o", archive, commit); err != nil {
		t.Skipf("SKIPPED: it builds earlier versions, and this history lacks %s: git clone the project: %s", commit, out)
	}
	source, err := zip.OpenReader(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	root = filepath.Join(dir, "source")
	if err := os.CopyFS(root, source); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOWORK", "off")
	list := exec.Command("go", "list", "-deps", "./cmd/...")
	list.Dir = root
	if out, err := list.CombinedOutput(); err != nil {
		need.Missing(t, "the modules of %.7s, by a network or in the module cache: %s", commit, out)
	}
	bin = filepath.Join(dir, "bin")
	programs.CompileTo(t, root, bin, "CGO_ENABLED=0", []string{"..."}, "-trimpath", "-buildvcs=false", "-ldflags=-s -w")
	return bin
}

// An upgrade is a folder with services and programs of two versions.
type upgrade struct {
	*testing.T
	was, is   *programs.Loop
	replicas  []*programs.Service
	rejects   *regexp.Regexp // what the earlier services say of models of today; nil if they read them
	last      string         // current model that they read
	delivered atomic.Int64
}

func testUpgrade(t *testing.T, earlier, now string, rejects *regexp.Regexp) {
	u := &upgrade{T: t, was: programs.NewLoop(t, earlier), is: programs.EmptyLoop(t, now), rejects: rejects}
	u.is.Dir = u.was.Dir
	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { u.delivered.Add(1) }))
	defer receiver.Close()
	t.Setenv("MONITORING_URL", receiver.URL)
	for i := range 3 {
		u.replicas = append(u.replicas, u.was.NewService())
		u.replicas[i].Start(replicaArgs(t, u.was, i+1)...)
	}
	front := u.was.NewService() // never started: nginx listens at its address
	proxy := startNginx(t, front.Addr, u.replicas)
	var stop atomic.Bool
	var load sync.WaitGroup
	var answers []programs.Answer
	load.Go(func() {
		answers = programs.Load{Services: []*programs.Service{front}, Interval: 20 * time.Millisecond}.Run(&stop)
	})
	end := func() { stop.Store(true); load.Wait() }
	defer end()
	models := u.was.Models()
	u.follow(models[1])

	// Before the upgrade: the programs of today beside the earlier services.
	u.waitForRecords()
	u.is.Run("rollback", "--verify")
	u.is.Run("rollback", "--rehearse", models[1]) // an audit
	for i := range 12 {                           // each rewrites a log that an earlier service writes
		if code, answer := u.replicas[i%3].Post("/predict", programs.Customer("forgotten")); code != http.StatusOK {
			t.Errorf("answer %d: %s", code, answer)
		}
		u.is.Run("rollback", "--forget", "forgotten")
	}
	u.work(u.is, "n1")
	if rejects != nil {
		u.rejected()
	}

	// Upgrade. In between both versions answer, with the models of both.
	u.restart(0, u.is)
	u.work(u.was, "o1")
	u.restart(1, u.is)
	u.restart(2, u.is)

	// The earlier programs beside the services of today.
	u.is.Run("rollback", "--prune", models[0])
	u.work(u.was, "o2")
	u.is.Run("evaluate", "--gate-f1", "0", "--terms", "curve", "--version", "n2")
	u.follow(u.is.Current())

	// Downgrade, to a model that the earlier version reads.
	if rejects != nil {
		u.is.Run("rollback", u.last)
		u.follow(u.last)
	}
	for i := range u.replicas {
		u.restart(i, u.was)
	}
	u.work(u.is, "n3")
	end()
	var wg sync.WaitGroup
	for _, s := range u.replicas {
		wg.Go(s.Stop)
	}
	wg.Wait()

	checkReplicaLogs(u.was, answers)
	checkReplicaLogs(u.is, answers)
	u.is.Run("rollback", "--verify")
	if rejects == nil {
		u.was.Run("rollback", "--verify")
	}
	if refused, others := proxy.errors(); refused == 0 || len(others) > 0 {
		t.Errorf("nginx met a stopped service %d times, other errors: %q", refused, others)
	}
	u.ownNotation()
	if !t.Failed() {
		t.Logf("%d answers while services of two versions took turns, all 200 and logged once", len(answers))
	}
}

// work prepares, trains, evaluates, rolls back and monitors by the programs of one version, and expects each service to
// follow. Of the same drift the versions alert once.
func (u *upgrade) work(by *programs.Loop, version string) {
	u.Helper()
	by.Run("prepare")
	by.Run("train", "--gate-f1", "0", "--version", version+"-train")
	trained := by.Current()
	u.follow(trained)
	by.Run("evaluate", "--gate-f1", "0", "--version", version+"-evaluate")
	u.follow(by.Current())
	by.Run("rollback")
	u.follow(trained)
	u.waitForRecords()
	var alerts [4]int64
	for i, l := range []*programs.Loop{u.was, u.is, u.was, u.is} {
		if status, _, err := l.Exec("drift"); status != 1 { // all customers are the same
			u.Errorf("drift of %s: %v", l.Bin, err)
		}
		alerts[i] = u.delivered.Load()
	}
	if alerts[0] == 0 || alerts[3] != alerts[1] {
		u.Errorf("%v alerts after drift of the two versions in turns", alerts)
	}
}

// waitForRecords waits for more records than drift reads.
func (u *upgrade) waitForRecords() {
	u.Helper()
	count := func() (n int) {
		for _, records := range recordsByLog(u.is) {
			n += records
		}
		return n
	}
	before := count()
	u.is.WaitFor("300 more records", func() bool { return count() >= before+300 })
}

// restart restarts a service as another version.
func (u *upgrade) restart(i int, by *programs.Loop) {
	u.Helper()
	u.replicas[i].Loop = by
	if err := restartService(u.replicas[i], replicaArgs(u.T, by, i+1)...); err != nil {
		u.Fatal(err)
	}
	u.follow(by.Current())
}

// follow expects each service to answer with a model, or to go on with the last one that it reads and to say why.
func (u *upgrade) follow(model string) {
	u.Helper()
	foreign := u.rejects != nil && strings.Contains(model, "_model_n")
	if !foreign {
		u.last = model
	}
	for _, s := range u.replicas {
		var health struct {
			Model  string `json:"current_model"`
			Detail string `json:"detail"`
		}
		want, keeps := model, foreign && s.Loop == u.was
		if keeps {
			want = u.last
		}
		follows := func() bool {
			code, text := s.Get("/health")
			health.Detail = "" // left out where there is none
			if err := json.Unmarshal([]byte(text), &health); err != nil || code != http.StatusOK {
				u.Fatalf("/health answers %d: %s", code, text)
			}
			return health.Model == want && u.says(health.Detail) == keeps
		}
		if !programs.Poll(programs.Patience, follows) {
			u.Errorf("a service of %s answers with %s, %q, want %s", s.Loop.Bin, health.Model, health.Detail, want)
		}
	}
}

// rejected starts an earlier service while the current model is of today: it has none.
func (u *upgrade) rejected() {
	u.Helper()
	s := u.was.NewService()
	s.Start("--log", u.is.Path("alone.log"))
	if code, text := s.Get("/health"); code != http.StatusServiceUnavailable || !u.says(text) {
		u.Errorf("/health of an earlier service answers %d: %s", code, text)
	}
	s.Kill()
}

// says reports whether a text has what the earlier services say of models of today.
func (u *upgrade) says(text string) bool { return u.rejects != nil && u.rejects.MatchString(text) }

// ownNotation prepares a file whose numbers have commas, and trains on it. The earlier version
// rejects schema and model.
func (u *upgrade) ownNotation() {
	u.Helper()
	dir := u.TempDir()
	text := programs.ReadFile(u.T, u.is.Path("data/raw.csv"))
	own := filepath.Join(dir, "own.csv")
	programs.WriteFile(u.T, own, strings.NewReplacer(",", ";", ".", ",").Replace(text))
	u.was.Dir, u.is.Dir = dir, dir
	u.is.Run("prepare", "--in", own, "--target", "churn")
	if status, _, err := u.was.Exec("train"); status != 2 || !strings.Contains(err.Error(), "/decimal: unknown key") {
		u.Errorf("the earlier train on a schema of today: %v", err)
	}
	u.is.Run("train", "--gate-f1", "0")
	status, out, err := u.was.Exec("rollback", "--verify")
	if status != 1 || !strings.Contains(string(out), "/decimal: unknown key") {
		u.Errorf("the earlier rollback --verify of a model of today: %v, %s", err, out)
	}
}
