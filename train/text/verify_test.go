package text

import (
	"testing"

	"github.com/bdia-go/bdia/verify"
)

// TestCheck checks a run with its own weights and batch, and initial weights without data;
// and that a planted fault shows.
func TestCheck(t *testing.T) {
	t.Parallel()
	r := create(t, tinyConfig())
	if _, err := r.Train(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	task := r.Task.(*Task)
	for _, dir := range []string{r.Dir, ""} {
		c, err := task.Check(r.State.Step+1, dir)
		if err != nil {
			t.Fatal(err)
		}
		report, err := c.Run(verify.NoFault)
		if err != nil {
			t.Fatal(err)
		}
		if !report.Exact() || report.ReconstructedActivations == 0 || report.GradientValues == 0 {
			t.Errorf("folder %q: %+v", dir, report)
		}
		if report, err := c.Run(verify.SideBit); err != nil || report.Exact() {
			t.Errorf("folder %q: a wrong bit of side information does not show: %v", dir, err)
		}
	}
}
