package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/internal/traintest"
)

// keyboard is a terminal with the program behind it.
type keyboard struct {
	t     *testing.T
	pty   *os.File
	c     *exec.Cmd
	mu    sync.Mutex
	shown bytes.Buffer
	seen  int // of shown, by wait
}

// typed starts the program on a terminal of its own.
func typed(t *testing.T, kind string, args ...string) *keyboard {
	t.Helper()
	pty, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { pty.Close() })
	testkit.OK(t, unix.IoctlSetPointerInt(int(pty.Fd()), unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(int(pty.Fd()), unix.TIOCGPTN)
	testkit.OK(t, err)
	testkit.OK(t, unix.IoctlSetWinsize(int(pty.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 40, Col: 120}))
	tty, err := os.OpenFile(fmt.Sprint("/dev/pts/", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	testkit.OK(t, err)
	defer tty.Close()
	k := &keyboard{t: t, pty: pty, c: program(args...)}
	k.c.Env = append(k.c.Env, "TERM="+kind)
	k.c.Stdin, k.c.Stdout, k.c.Stderr = tty, tty, tty
	k.c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	testkit.OK(t, k.c.Start())
	t.Cleanup(func() { _ = k.c.Process.Kill() })
	go func() {
		b := make([]byte, 4096)
		for {
			n, err := pty.Read(b)
			k.mu.Lock()
			k.shown.Write(b[:n])
			k.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return k
}

// wait waits until the terminal shows text, behind what was waited for before.
func (k *keyboard) wait(text string) {
	k.t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		k.mu.Lock()
		at := bytes.Index(k.shown.Bytes()[k.seen:], []byte(text))
		if at >= 0 {
			k.seen += at + len(text)
		}
		k.mu.Unlock()
		if at >= 0 {
			return
		}
	}
	k.t.Fatalf("%q does not come; the terminal shows\n%s", text, &k.shown)
}

func (k *keyboard) press(keys string) {
	k.t.Helper()
	_, err := io.WriteString(k.pty, keys)
	testkit.OK(k.t, err)
}

// TestChatTerminal: on a terminal, with and without keys for editing, Ctrl-C ends an answer and twice at the prompt the
// conversation, which is no failure. A line can be edited, and goes on in the next.
func TestChatTerminal(t *testing.T) {
	t.Parallel()
	dir := traintest.ChatFolder(t)
	for _, kind := range []string{"xterm", "dumb"} {
		k := typed(t, kind, "chat", dir, "--threads", "1", "--max-tokens", "3", "--greedy")
		k.wait("Ctrl-D leaves.")
		k.wait("> ")
		k.press("H\r")
		k.wait("3 tokens, and ends there; see --max-tokens")
		k.wait("> ")
		k.press("/nothung\x7f\x7f\x7fing\r")
		k.wait(`no command "/nothing"`)
		k.wait("> ")
		k.press("/sys\\\r")
		k.press("b\r")
		k.wait(`no command "/sys\nb"`)
		k.wait("> ")
		k.press("/retry\r")
		k.wait("3 tokens")
		k.wait("> ")
		k.press("\x03")
		k.wait("Ctrl-C again")
		if kind == "xterm" {
			k.wait("> ")
		}
		k.press("\x03")
		if code := ended(t, k.c.Wait()); code != 0 {
			t.Errorf("%s: exit code %d after Ctrl-C twice\n%s", kind, code, &k.shown)
		}

		k = typed(t, kind, "chat", dir, "--threads", "1")
		k.wait("> ")
		k.press("/exit\r")
		if code := ended(t, k.c.Wait()); code != 0 {
			t.Errorf("%s: exit code %d after /exit", kind, code)
		}

		k = typed(t, kind, "chat", dir, "--threads", "1")
		k.wait("> ")
		k.press("\x04")
		if code := ended(t, k.c.Wait()); code != 0 || strings.Contains(k.shown.String(), "bdia:") {
			t.Errorf("%s: exit code %d after Ctrl-D\n%s", kind, code, &k.shown)
		}

		k = typed(t, kind, "chat", dir, "--threads", "1")
		k.wait("> ")
		testkit.OK(t, k.c.Process.Signal(syscall.SIGTERM))
		if code := ended(t, k.c.Wait()); code != cli.ExitInterrupted {
			t.Errorf("%s: exit code %d after SIGTERM\n%s", kind, code, &k.shown)
		}
	}
}

// TestChatCutOnTerminal: Ctrl-C ends an answer, of which the beginning stays, and the conversation goes on.
func TestChatCutOnTerminal(t *testing.T) {
	t.Parallel()
	from, dir := testkit.SharedPath(t, "llm", "stories260K", "hf"), t.TempDir()
	testkit.OK(t, os.CopyFS(dir, os.DirFS(from)))
	write(t, dir, "chat_template.jinja", `{{ bos_token }}{% for m in messages %}{{ m.content + "\n" }}{% endfor %}`)
	k := typed(t, "xterm", "chat", dir, "--threads", "1", "--isa", "portable", "--greedy")
	k.wait("> ")
	k.press("Once upon a time\r")
	for tries := 0; ; tries++ { // an answer may be over before the key is pressed
		k.wait("One day,")
		k.press("\x03")
		k.wait("> ")
		k.mu.Lock()
		cut := bytes.Contains(k.shown.Bytes(), []byte("Cut."))
		k.mu.Unlock()
		if cut {
			break
		}
		if tries == 20 {
			t.Fatalf("no answer is cut; the terminal shows\n%s", &k.shown)
		}
		k.press("/retry\r")
	}
	k.press("/help\r")
	k.wait("a message that begins with /")
	k.press("\x04")
	if code := ended(t, k.c.Wait()); code != 0 {
		t.Errorf("exit code %d\n%s", code, &k.shown)
	}
}
