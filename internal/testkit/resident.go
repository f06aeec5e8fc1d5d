package testkit

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"testing"
)

// Resident is the largest resident set of this process so far, in bytes, as Linux tells it; 0 elsewhere.
func Resident() int64 {
	status, _ := os.ReadFile("/proc/self/status")
	m := regexp.MustCompile(`VmHWM:\s*(\d+)`).FindSubmatch(status)
	if m == nil {
		return 0
	}
	n, _ := strconv.ParseInt(string(m[1]), 10, 64)
	return n << 10
}

// Memory runs the test's own program with a setting of the environment and arguments, for which its TestMain prints two
// numbers of bytes: what it took, which is above 0, and what was promised. It fails the test if it does not.
func Memory(t testing.TB, setting string, args ...string) (took, promised int64) {
	t.Helper()
	c := exec.Command(os.Args[0], args...)
	c.Env = append(os.Environ(), setting)
	out, err := c.CombinedOutput()
	if n, _ := fmt.Sscan(string(out), &took, &promised); err != nil || n != 2 || took <= 0 {
		t.Fatalf("%s: %v: %s", setting, err, out)
	}
	return took, promised
}
