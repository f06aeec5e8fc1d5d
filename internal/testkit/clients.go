package testkit

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"testing"
)

// Clients returns the folder with the clients' node_modules, from BDIA_CLIENTS,
// which .ci/clients sets. If it is not set, the test is skipped.
func Clients(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("BDIA_CLIENTS")
	if dir == "" {
		t.Skip("BDIA_CLIENTS names no folder with node_modules; .ci/clients installs one")
	}
	return dir
}

// Node runs a script with node: it gets question on standard input and writes answer
// to standard output, both JSON.
func Node(t testing.TB, script string, question, answer any) {
	t.Helper()
	Clients(t)
	ask(t, "node", script, question, answer)
}

// Python is Node for Python with PyTorch, NumPy and onnx, from BDIA_PYTHON, which
// .ci/clients sets. If it is not set, the test is skipped.
func Python(t testing.TB, script string, question, answer any) {
	t.Helper()
	python := os.Getenv("BDIA_PYTHON")
	if python == "" {
		t.Skip("BDIA_PYTHON names no python with PyTorch; .ci/clients installs one")
	}
	ask(t, python, script, question, answer)
}

func ask(t testing.TB, program, script string, question, answer any) {
	t.Helper()
	in, err := json.Marshal(question)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	c := exec.CommandContext(t.Context(), program, script)
	c.Stdin, c.Stderr = bytes.NewReader(in), &log
	out, err := c.Output()
	if err == nil {
		err = json.Unmarshal(out, answer)
	}
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", program, script, err, log.Bytes())
	}
}
