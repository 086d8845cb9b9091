package load_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"churn/internal/testing/programs"

	"github.com/oasdiff/yaml"
)

// A manifest is deploy's Deployment. An unknown field is a mistake, or a check is missing
// here.
type manifest struct {
	APIVersion string `json:"apiVersion"`
	Kind       string
	Metadata   struct{ Name string }
	Spec       struct {
		Replicas int
		Selector struct{ MatchLabels map[string]string }
		Strategy struct{ RollingUpdate map[string]int }
		Template struct {
			Metadata struct{ Labels map[string]string }
			Spec     pod
		}
	}
}

type pod struct {
	TerminationGracePeriodSeconds int
	AutomountServiceAccountToken  bool
	SecurityContext               struct {
		RunAsNonRoot                   bool
		RunAsUser, RunAsGroup, FSGroup uint32
		SeccompProfile                 struct{ Type string }
	}
	Containers []container
	Volumes    []struct {
		Name                  string
		PersistentVolumeClaim struct {
			ClaimName string
			ReadOnly  bool
		}
		Secret struct{ SecretName string }
	}
}

type container struct {
	Name, Image   string
	Command, Args []string
	Env           []struct {
		Name      string
		ValueFrom struct{ FieldRef struct{ FieldPath string } }
	}
	Ports []struct {
		Name          string
		ContainerPort int
	}
	ReadinessProbe, LivenessProbe probe
	Lifecycle                     struct {
		PreStop struct{ Sleep struct{ Seconds int } }
	}
	Resources       struct{ Requests, Limits map[string]string }
	SecurityContext struct {
		ReadOnlyRootFilesystem   bool
		AllowPrivilegeEscalation bool
		Capabilities             struct{ Drop []string }
	}
	VolumeMounts []struct {
		Name, MountPath string
		ReadOnly        bool
	}
}

type probe struct {
	HTTPGet struct {
		Path string
		Port string
	}
	PeriodSeconds int
}

// readManifest returns deploy's Deployment, and the values of serve's flags in it.
func readManifest(t *testing.T) (m manifest, flags map[string]string) {
	t.Helper()
	text, err := yaml.YAMLToJSON([]byte(programs.DeployFile(t, "kubernetes.yaml")))
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		t.Fatal(err)
	}
	if len(m.Spec.Template.Spec.Containers) != 1 {
		t.Fatalf("containers: %+v", m.Spec.Template.Spec.Containers)
	}
	flags = map[string]string{}
	for _, arg := range m.Spec.Template.Spec.Containers[0].Args {
		name, value, ok := strings.Cut(arg, "=")
		if !ok || !strings.HasPrefix(name, "--") {
			t.Fatalf("the argument %q is not --name=value", arg)
		}
		flags[name] = value
	}
	return m, flags
}

// TestManifest verifies that the parts of deploy's Deployment are consistent.
func TestManifest(t *testing.T) {
	m, flags := readManifest(t)
	p := m.Spec.Template.Spec
	c := p.Containers[0]
	if m.APIVersion != "apps/v1" || m.Kind != "Deployment" || m.Spec.Replicas < 2 ||
		m.Spec.Strategy.RollingUpdate["maxUnavailable"] != 0 {
		t.Errorf("%s %s of %d, %v", m.APIVersion, m.Kind, m.Spec.Replicas, m.Spec.Strategy)
	}
	for k, v := range m.Spec.Selector.MatchLabels {
		if m.Spec.Template.Metadata.Labels[k] != v {
			t.Errorf("no pod has the label %s", k)
		}
	}

	const finish = 10 // seconds, for requests under way
	drain, err := time.ParseDuration(flags["--drain"])
	stop := c.Lifecycle.PreStop.Sleep.Seconds + int(drain.Seconds()) + finish
	if err != nil || drain < time.Second || c.Lifecycle.PreStop.Sleep.Seconds < 1 ||
		p.TerminationGracePeriodSeconds <= stop {
		t.Errorf("a pod is killed after %d s, and takes up to %d s to stop (--drain %v, %v)",
			p.TerminationGracePeriodSeconds, stop, drain, err)
	}
	if !p.SecurityContext.RunAsNonRoot || p.SecurityContext.RunAsUser == 0 || p.AutomountServiceAccountToken ||
		!c.SecurityContext.ReadOnlyRootFilesystem ||
		c.SecurityContext.AllowPrivilegeEscalation || len(c.SecurityContext.Capabilities.Drop) != 1 ||
		c.SecurityContext.Capabilities.Drop[0] != "ALL" {
		t.Errorf("more privileges than needed: %+v %+v", p.SecurityContext, c.SecurityContext)
	}
	if c.Resources.Requests["cpu"] == "" || c.Resources.Requests["memory"] == "" || c.Resources.Limits["memory"] == "" {
		t.Errorf("resources: %+v", c.Resources)
	}
	if len(c.Ports) != 1 || flags["--addr"] != ":8000" || c.Ports[0].ContainerPort != 8000 {
		t.Errorf("it listens on %s, and its ports are %+v", flags["--addr"], c.Ports)
	}
	for _, probe := range []probe{c.ReadinessProbe, c.LivenessProbe} {
		if probe.HTTPGet.Port != c.Ports[0].Name || probe.PeriodSeconds < 1 {
			t.Errorf("probe: %+v", probe)
		}
	}
	if len(c.Env) != 1 || !strings.Contains(flags["--log"], "$("+c.Env[0].Name+")") ||
		c.Env[0].ValueFrom.FieldRef.FieldPath != "metadata.name" {
		t.Errorf("the log %s is shared between pods: %+v", flags["--log"], c.Env)
	}

	volumes := map[string]bool{} // whether mounted
	for _, v := range p.Volumes {
		volumes[v.Name] = false
	}
	for _, mount := range c.VolumeMounts {
		if mounted, ok := volumes[mount.Name]; !ok || mounted {
			t.Errorf("%s is no volume, or mounted twice", mount.Name)
		}
		volumes[mount.Name] = true
		for flag, writes := range map[string]bool{"--dir": false, "--log": true, "--api-key-file": false} {
			if strings.HasPrefix(flags[flag]+"/", mount.MountPath+"/") {
				delete(flags, flag)
				if mount.ReadOnly == writes {
					t.Errorf("%s is on %s, which is read-only: %v", flag, mount.Name, mount.ReadOnly)
				}
			}
		}
	}
	for name, mounted := range volumes {
		if !mounted {
			t.Errorf("the volume %s is not mounted", name)
		}
	}
	for _, flag := range []string{"--dir", "--log", "--api-key-file"} {
		if path, left := flags[flag]; left {
			t.Errorf("%s %s is on no volume", flag, path)
		}
	}
}
