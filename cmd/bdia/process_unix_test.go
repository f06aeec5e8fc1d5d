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

// longRun are the arguments of a run that a test stops.
func longRun(t *testing.T, steps string, more ...string) (dir string, args []string) {
	trainedRun(t)
	dir = filepath.Join(t.TempDir(), "run")
	return dir, append(append([]string{"train", "--data", filepath.Join(scratch, "text.txt"), "--out", dir}, tiny("--steps", steps, "--eval-every", "100", "--patience", "0")...), more...)
}

// TestStoppedProcess: a signal stops a run with an exit code of its own, and the run goes on from there.
func TestStoppedProcess(t *testing.T) {
	t.Parallel()
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		if signal.Ignored(s) { // under nohup, by the program too
			continue
		}
		dir, args := longRun(t, "1000000", "--json")
		c := program(args...)
		var out bytes.Buffer
		c.Stdout = &out
		errOut, err := c.StderrPipe()
		if err == nil {
			err = c.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(errOut)
		for lines.Scan() && !strings.Contains(lines.Text(), "step       1/") {
		}
		if err := c.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, errOut)
		if code := ended(t, c.Wait()); code != cli.ExitStopped {
			t.Errorf("%v: exit code %d, want %d", s, code, cli.ExitStopped)
		}
		if m := object(t, result{out: out.String()}); m["interrupted"] != true {
			t.Errorf("%v: summary %v", s, m)
		}
		if r := mustCall(t, "eval", dir); !strings.Contains(r.out, "loss") {
			t.Errorf("%v: the run left nothing: %+v", s, r)
		}
	}
}

// TestReaderGone: when nobody reads what a run says, as behind "2>&1 | head", it goes on to its end.
func TestReaderGone(t *testing.T) {
	t.Parallel()
	dir, args := longRun(t, "300")
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
	if _, err := bufio.NewReader(r).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	r.Close()
	if code := ended(t, c.Wait()); code != cli.ExitOK || !strings.Contains(out.String(), "Done: 300 steps") {
		t.Errorf("exit code %d: %s", code, out.String())
	}
	if r := mustCall(t, "eval", dir); !strings.Contains(r.out, "loss") {
		t.Errorf("the run left nothing: %+v", r)
	}
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
