package train

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/checkpoint"
	"github.com/bdia-go/bdia/optim"
)

// maxCourses are as many as a state keeps, the latest ones.
const maxCourses = 1000

// keepCourse notes in the state with what the next steps are done, if that is something else than before.
func (r *Run) keepCourse() {
	st, s := &r.State, r.Common().Schedule
	now := checkpoint.Course{After: st.Step, Settings: numericSettings(r.Task), Precision: precisionName(*r.Common()), Kind: s.Kind, LR: s.LR, Final: s.Final, Warmup: s.Warmup, Steps: s.Steps, Rewinds: st.Rewinds}
	var before []checkpoint.Course // of steps that were done
	for _, c := range st.Courses {
		if c.After < st.Step {
			before = append(before, c)
		}
	}
	if n := len(before); n > 0 {
		same := before[n-1]
		if same.After = now.After; same == now {
			st.Courses = before
			return
		}
	}
	before = append(before, now)
	st.Courses = before[max(0, len(before)-maxCourses):]
}

// courseAt is with what the run did a step; nil: that is not known.
func courseAt(st checkpoint.State, step int) (at *checkpoint.Course) {
	if step > st.Step {
		return nil
	}
	for i := range st.Courses {
		if st.Courses[i].After < step {
			at = &st.Courses[i]
		}
	}
	return at
}

// scheduleOf is the schedule of a course.
func scheduleOf(c *checkpoint.Course) optim.Schedule {
	return optim.Schedule{Kind: c.Kind, LR: c.LR, Final: c.Final, Warmup: c.Warmup, Steps: c.Steps}
}

// numericSettings is a fingerprint of the settings of t that the numbers of a step depend on, but for the schedule.
// Data tell themselves by their checksums. Zero values do not count, so that a later version may add settings.
func numericSettings(t Task) string {
	h := sha256.New()
	for _, s := range Settings(t) {
		if numeric(s.Name) && !slices.Contains(zeroValues, s.Value) {
			fmt.Fprintf(h, "%s=%q\n", s.Name, s.Value)
		}
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:8])
}

// zeroValues are settings that do not count: what earlier versions did, who did not know them.
var zeroValues = []string{"", "0", "false", "[]", backend.Float32.String()}

// numeric reports whether the numbers of a step may depend on the named setting.
func numeric(name string) bool {
	section, key, _ := strings.Cut(name, ".")
	switch section {
	case "schedule", "data", "from", "pixels":
		return false
	case "engine":
		return key == "precision"
	case "pairs":
		return key == "batch_tokens"
	case "images":
		return key == "label_smoothing"
	case "tune":
		return key != "from" && key != "base_weights"
	case "loop":
		return key == "batch" || key == "clip" || key == "ema" || key == "seed"
	case "method":
		return key != "memory"
	}
	return true
}
