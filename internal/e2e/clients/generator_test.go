package clients_test

import (
	"os"
	"path/filepath"
	"testing"

	"churn/internal/testing/need"
	"churn/internal/testing/programs"
)

// What a program in each language prints: the prediction, and the error for a wrong customer.
const wantGenerated = "1 ensure this value is less than or equal to 200\n"

const generatedGo = `package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"churn/tools/client"
)

func main() {
	c := client.NewConfiguration()
	c.Servers = client.ServerConfigurations{{URL: os.Args[1]}}
	api := client.NewAPIClient(c).PredictionsAPI
	customer := client.NewCustomer(21.5, 3, "basic", "NA", 6)
	good, _, err := api.PostPredict(context.Background()).Customer(*customer).Execute()
	if err != nil {
		panic(err)
	}
	customer.TenureMonths = 6000
	_, _, err = api.PostPredict(context.Background()).Customer(*customer).Execute()
	var bad *client.GenericOpenAPIError
	if !errors.As(err, &bad) {
		panic(err)
	}
	fmt.Println(good.Prediction, bad.Model().(client.HTTPValidationError).Detail[0].Msg)
}
`

const generatedTypeScript = `import { Configuration, PredictionsApi, ResponseError, type Customer } from "./client";

declare const process: { argv: string[] };
const api = new PredictionsApi(new Configuration({ basePath: process.argv[2] }));
const customer: Customer = {
  tenureMonths: 6, numComplaints: 3, avgSessionMinutes: 21.5, planType: "basic", region: "NA",
};
async function main() {
  const good = await api.postPredict({ customer });
  const error = await api.postPredict({ customer: { ...customer, tenureMonths: 6000 } }).catch((e) => e);
  const bad = await (error as ResponseError).response.json();
  console.log(good.prediction, bad.detail[0].msg);
}
main();
`

const generatedJava = `package program;

import org.openapitools.client.ApiClient;
import org.openapitools.client.ApiException;
import org.openapitools.client.api.PredictionsApi;
import org.openapitools.client.model.Customer;
import org.openapitools.client.model.HTTPValidationError;

public class Program {
    public static void main(String[] args) throws Exception {
        ApiClient client = new ApiClient();
        client.updateBaseUri(args[0]);
        PredictionsApi api = new PredictionsApi(client);
        Customer customer = new Customer().tenureMonths(6L).numComplaints(3L).avgSessionMinutes(21.5)
            .planType("basic").region("NA");
        int good = api.postPredict(customer, false).getPrediction();
        try {
            api.postPredict(customer.tenureMonths(6000L), false);
        } catch (ApiException e) {
            HTTPValidationError bad =
                client.getObjectMapper().readValue(e.getResponseBody(), HTTPValidationError.class);
            System.out.println(good + " " + bad.getDetail().get(0).getMsg());
        }
    }
}
`

const generatedRust = `use openapi::apis::configuration::Configuration;
use openapi::apis::predictions_api::{post_predict, PostPredictError};
use openapi::apis::Error;
use openapi::models::Customer;

fn main() {
    let mut service = Configuration::new();
    service.base_path = std::env::args().nth(1).unwrap();
    let mut customer = Customer::new(21.5, 3, "basic".to_string(), "NA".to_string(), 6);
    let good = post_predict(&service, customer.clone(), None).unwrap();
    customer.tenure_months = 6000;
    match post_predict(&service, customer, None) {
        Err(Error::ResponseError(answer)) => match answer.entity {
            Some(PostPredictError::Status422(bad)) => println!("{} {}", good.prediction, bad.detail[0].msg),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}
`

// The generator of OpenAPI Generator, which is a program in Java.
const generator = "import sys, openapi_generator_cli as g; sys.exit(g.run(sys.argv[1:]).returncode)"

func TestOpenAPIGenerator(t *testing.T) {
	need.Program(t, "java", "default-jdk-headless")
	python := need.Python(t, "openapi_generator_cli")
	s := start(t)
	path, url := document(s), "http://"+s.Addr
	check := func(language string, build func(t *testing.T, generate func(args ...string), dir string) string) {
		t.Run(language, func(t *testing.T) {
			dir := t.TempDir()
			out := build(t, func(args ...string) {
				t.Helper()
				run(t, dir, python, append([]string{"-c", generator, "generate", "-i", path, "-g", language}, args...)...)
			}, dir)
			if out != wantGenerated {
				t.Errorf("%swant %s", out, wantGenerated)
			}
		})
	}
	check("go", func(t *testing.T, generate func(args ...string), dir string) string {
		generate("-o", "client", "--additional-properties=packageName=client,withGoMod=false")
		goModule(t, dir)
		programs.WriteFile(t, filepath.Join(dir, "main.go"), generatedGo)
		run(t, dir, need.Program(t, "go", "golang"), "build", "-o", "program", ".")
		return run(t, dir, filepath.Join(dir, "program"), url)
	})
	check("typescript-fetch", func(t *testing.T, generate func(args ...string), dir string) string {
		generate("-o", "client")
		programs.WriteFile(t, filepath.Join(dir, "main.ts"), generatedTypeScript)
		run(t, dir, tool(t, "tsc"), "--strict", "--target", "es2022", "--lib", "es2022,dom", "--module", "commonjs",
			"main.ts")
		return run(t, dir, need.Program(t, "node", "nodejs"), "main.js", url)
	})
	check("java", func(t *testing.T, generate func(args ...string), dir string) string {
		generate("--library", "native")
		folder := filepath.Join(dir, "src", "main", "java", "program")
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		programs.WriteFile(t, filepath.Join(folder, "Program.java"), generatedJava)
		run(t, dir, need.Program(t, "mvn", "maven"), "-q", "-B", "package", "-Dmaven.test.skip=true",
			"-Dmaven.javadoc.skip=true", "-Dmaven.source.skip=true")
		return run(t, dir, "java", "-cp", "target/classes:target/lib/*", "program.Program", url)
	})
	check("rust", func(t *testing.T, generate func(args ...string), dir string) string {
		generate("--additional-properties=supportAsync=false")
		t.Setenv("CARGO_PROFILE_DEV_DEBUG", "0")                              // takes less time
		lock := filepath.Join(programs.Root(t), ".ci", "tools", "Cargo.lock") // the versions of the libraries
		programs.WriteFile(t, filepath.Join(dir, "Cargo.lock"), programs.ReadFile(t, lock))
		programs.WriteFile(t, filepath.Join(dir, "src", "main.rs"), generatedRust)
		return run(t, dir, need.Program(t, "cargo", "cargo"), "run", "-q", "--no-default-features", "--", url) // no TLS
	})
}
