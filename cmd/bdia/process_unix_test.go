//go:build unix

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
)

// program is the program as a process of its own.
func program(args ...string) *exec.Cmd {
	c := exec.Command(os.Args[0], args...)
	c.Env = append(os.Environ(), asProgram+"=1")
	return c
}

// ended is the exit code of c.
func ended(t *testing.T, err error) int {
	t.Helper()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	if err != nil {
		t.Fatal(err)
	}
	return cli.ExitOK
}

// signalled starts the program, sends it the signal after the first line on standard error with the text at, and
// returns its exit code and its standard output.
func signalled(t *testing.T, args []string, at string, s syscall.Signal) (code int, out string) {
	t.Helper()
	c := program(args...)
	var b bytes.Buffer
	c.Stdout = &b
	errOut, err := c.StderrPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(errOut)
	for lines.Scan() && !strings.Contains(lines.Text(), at) {
	}
	if err := c.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, errOut)
	code = ended(t, c.Wait())
	return code, b.String()
}

// longRun are the arguments of a run that a test stops.
func longRun(t *testing.T, steps string, more ...string) (dir string, args []string) {
	trainedRun(t)
	dir = filepath.Join(t.TempDir(), "run")
	return dir, append(append([]string{"train", "--data", filepath.Join(scratch, "text.txt"), "--out", dir}, tiny("--steps", steps, "--eval-every", "100", "--patience", "0")...), more...)
}

// TestStoppedProcess: a signal stops a run with an exit code of its own, and the run goes on from there.
func TestStoppedProcess(t *testing.T) {
	t.Parallel()
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR1} {
		if signal.Ignored(s) { // under nohup, by the program too
			continue
		}
		dir, args := longRun(t, "1000000", "--json")
		code, out := signalled(t, args, "step       1/", s)
		if code != cli.ExitStopped {
			t.Errorf("%v: exit code %d, want %d", s, code, cli.ExitStopped)
		}
		if m := object(t, result{out: out}); m["interrupted"] != true {
			t.Errorf("%v: summary %v", s, m)
		}
		if r := mustCall(t, "eval", dir); !strings.Contains(r.out, "loss") {
			t.Errorf("%v: the run left nothing: %+v", s, r)
		}
	}
}

// TestReaderGone: when nobody reads what a run says, as behind "2>&1 | head", it saves and stops, and goes on from there.
func TestReaderGone(t *testing.T) {
	t.Parallel()
	dir, args := longRun(t, "1000000")
	c := program(args...)
	var out bytes.Buffer
	c.Stdout = &out
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c.Stderr = w
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	lines := bufio.NewScanner(r)
	for lines.Scan() && !strings.Contains(lines.Text(), "step       1/") {
	}
	r.Close()
	if code := ended(t, c.Wait()); code != cli.ExitStopped || !strings.Contains(out.String(), "saved") {
		t.Errorf("exit code %d: %s", code, out.String())
	}
	if r := mustCall(t, "eval", dir); !strings.Contains(r.out, "loss") {
		t.Errorf("the run left nothing: %+v", r)
	}
}

// TestStoppedBeforeTheFirstStep: exit code 130, the word "saved" is not said, and the prepared folder goes on.
func TestStoppedBeforeTheFirstStep(t *testing.T) {
	t.Parallel()
	dir, args := longRun(t, "30")
	code, text := signalled(t, args, "Model", syscall.SIGTERM) // shown before the first step
	if strings.Contains(text, "Interrupted after") {           // the machine was quick
		t.Skip(text)
	}
	if code != cli.ExitInterrupted || !strings.Contains(text, "Interrupted before step 1") || strings.Contains(text, "saved") {
		t.Errorf("exit code %d: %q", code, text)
	}
	if r := mustCall(t, "train", "resume", dir); !strings.Contains(r.out, "Done: 30 steps") {
		t.Errorf("%+v", r)
	}
}

// TestHearsCtrlC: commands that compute for long end at once, with exit code 130.
func TestHearsCtrlC(t *testing.T) {
	t.Parallel()
	trainedRun(t)
	big := []string{"--layers", "4", "--width", "512", "--heads", "8", "--context", "512", "--batch", "64"}
	for name, args := range map[string][]string{
		"verify": append([]string{"verify"}, big...),
		"bench":  {"bench", "--layers", "4", "--width", "512", "--heads", "8", "--seq", "512", "--batch", "64"},
		"plan":   append([]string{"plan", "--time"}, big...),
		"prompt": {"generate", trainedRun(t), "--prompt", "-"},
		"encode": {"tokenizer", "encode", trainedRun(t), "-"},
	} {
		code, took := 0, time.Duration(0)
		for wait := 300 * time.Millisecond; ; wait *= 2 { // a busy machine may take longer to start a program
			if code, took = interrupted(t, wait, args); code != -1 || wait > 10*time.Second {
				break
			}
		}
		if code != cli.ExitInterrupted {
			t.Errorf("%s: exit code %d", name, code)
		}
		t.Logf("%s: %v from the signal to the end", name, took)
	}
}

// interrupted starts the program and sends SIGINT after a while. It returns the exit code, which is -1 if the program did
// not listen yet, and the time from the signal to the end.
func interrupted(t *testing.T, wait time.Duration, args []string) (code int, took time.Duration) {
	t.Helper()
	c := program(args...)
	in, err := c.StdinPipe() // nothing comes
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	time.Sleep(wait)
	began := time.Now()
	if err := c.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	return ended(t, c.Wait()), time.Since(began)
}

// TestOutputGone: a command whose result nobody reads ends at once, without a word.
func TestOutputGone(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	defer w.Close()
	c := program("generate", trainedRun(t), "--max-tokens", "5")
	var errOut bytes.Buffer
	c.Stdout, c.Stderr = w, &errOut
	if code := ended(t, c.Run()); code != 141 || errOut.Len() > 0 {
		t.Errorf("exit code %d, %q", code, errOut.String())
	}
}

// TestErrorsAsJSON: with --json, what went wrong is a line of JSON too, with the exit code.
func TestErrorsAsJSON(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		exit float64
	}{
		{[]string{"train", "text", "--data", "no-such-file", "--json"}, cli.ExitFailure},
		{[]string{"eval", "no-such-run", "--json"}, cli.ExitFailure},
		{[]string{"train", "text", "--json"}, cli.ExitUsage},
		{[]string{"train", "text", "--json", "--lr", "much"}, cli.ExitUsage},
	} {
		var out, errOut bytes.Buffer
		p := program(c.args...)
		p.Dir, p.Stdout, p.Stderr = t.TempDir(), &out, &errOut
		code := ended(t, p.Run())
		var m map[string]any
		if err := json.Unmarshal(out.Bytes(), &m); err != nil || code != int(c.exit) || m["exit"] != c.exit {
			t.Errorf("%v: exit code %d, %v: %s", c.args, code, err, out.String())
		}
		if want := "bdia: " + m["error"].(string) + "\n"; errOut.String() != want {
			t.Errorf("%v: JSON has %q, standard error %q", c.args, want, errOut.String())
		}
	}
}

// TestSignalAtTheEnd: a signal while the program ends does not kill it, so that the exit code is its own.
func TestSignalAtTheEnd(t *testing.T) {
	t.Parallel()
	for range 12 {
		c := program("completion", "bash")
		out, err := c.StdoutPipe()
		if err == nil {
			err = c.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := out.Read(make([]byte, 1)); err != nil { // it hears signals by now
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			for c.Process.Signal(syscall.SIGHUP) == nil {
			}
		}()
		_, err = io.Copy(io.Discard, out)
		if err = errors.Join(err, c.Wait()); err != nil && ended(t, err) < 0 {
			t.Fatalf("%v", err)
		}
		<-done
	}
}
