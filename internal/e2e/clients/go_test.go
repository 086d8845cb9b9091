package clients_test

import (
	"os"
	"path/filepath"
	"testing"

	"churn/internal/testing/need"
	"churn/internal/testing/programs"
)

// A client of oapi-codegen predicts.
const oapiCodegen = `package main

import (
	"context"
	"fmt"
	"os"

	"churn/tools/client"
)

func main() {
	c, err := client.NewClientWithResponses(os.Args[1])
	if err != nil {
		panic(err)
	}
	customer := client.Customer{
		TenureMonths: 6, NumComplaints: 3, AvgSessionMinutes: 21.5, PlanType: "basic", Region: "NA",
	}
	good, err := c.PostPredictWithResponse(context.Background(), nil, customer)
	if err != nil {
		panic(err)
	}
	customer.TenureMonths = 6000
	bad, err := c.PostPredictWithResponse(context.Background(), nil, customer)
	if err != nil {
		panic(err)
	}
	fmt.Println(good.JSON200.Prediction, bad.JSON422.Detail[0].Msg)
}
`

// A client of ogen predicts.
const ogen = `package main

import (
	"context"
	"fmt"
	"os"

	"churn/tools/client"
)

func main() {
	c, err := client.NewClient(os.Args[1])
	if err != nil {
		panic(err)
	}
	customer := client.Customer{
		TenureMonths: 6, NumComplaints: 3, AvgSessionMinutes: 21.5, PlanType: "basic", Region: "NA",
	}
	good, err := c.PostPredict(context.Background(), &customer, client.PostPredictParams{})
	if err != nil {
		panic(err)
	}
	customer.TenureMonths = 6000
	bad, err := c.PostPredict(context.Background(), &customer, client.PostPredictParams{})
	if err != nil {
		panic(err)
	}
	details := bad.(*client.HTTPValidationError).Detail
	fmt.Println(good.(*client.Prediction).Prediction, details[0].Msg)
}
`

// goModule makes a folder a module with the libraries of generated code.
func goModule(t *testing.T, dir string) {
	t.Helper()
	for _, file := range []string{"go.mod", "go.sum"} {
		from := filepath.Join(programs.Root(t), ".ci", "tools", file)
		programs.WriteFile(t, filepath.Join(dir, file), programs.ReadFile(t, from))
	}
}

func TestGoClients(t *testing.T) {
	s := start(t)
	path := document(s)
	check := func(name, program, want string, generate ...string) {
		t.Helper()
		dir := t.TempDir()
		goModule(t, dir)
		if err := os.Mkdir(filepath.Join(dir, "client"), 0o755); err != nil {
			t.Fatal(err)
		}
		programs.WriteFile(t, filepath.Join(dir, "main.go"), program)
		run(t, dir, "go", append([]string{"tool", name}, generate...)...)
		run(t, dir, "go", "build", "-o", "program", ".")
		if out := run(t, dir, filepath.Join(dir, "program"), "http://"+s.Addr); out != want+"\n" {
			t.Errorf("%s: %swant %s", name, out, want)
		}
	}
	need.Program(t, "go", "golang")
	check("oapi-codegen", oapiCodegen, "1 ensure this value is less than or equal to 200",
		"-generate", "types,client", "-package", "client", "-o", "client/client.go", path)
	check("ogen", ogen, "1 ensure this value is less than or equal to 200",
		"--target", "client", "--package", "client", path)
}
