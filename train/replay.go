package train

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/bdia-go/bdia/checkpoint"
	"github.com/bdia-go/bdia/metric"
)

// Replayed is what came of computing a step of a run again.
type Replayed struct {
	Step    int    // the last one computed: the step asked for, or the end of the window of its record
	From    int    // step of the checkpoint begun from; 0: the beginning
	Folder  string // of that checkpoint; "": the beginning
	Against string // "certificate", "loss", or "nothing" if the run did not record the step
	// Compared counts the steps that were compared, or with losses the records, each the mean of some steps.
	Compared int
	LeftOut  []int // steps that diverge, which the run left out for that
	// Uncertified counts the steps without a certificate, of a run that records certificates: they were lost, or the run
	// began to record them later.
	Uncertified int
	// Difference is the first difference, A as recorded and B as computed; nil: there is none.
	Difference *metric.Difference
	// Certificate is of the last step as computed.
	Certificate metric.Certificate
}

// Replay computes the steps of the run up to the given one again, from the nearest checkpoint before it or from the
// beginning, and compares them with the run's certificates; without any, with its recorded losses. It writes nothing.
// The run keeps with which schedule it did its steps. It fails with a SettingsError if other settings have changed
// since, and for runs of earlier versions with a RateError if the schedule has. each, if not nil, hears of every
// step.
func (r *Run) Replay(ctx context.Context, step int, each func(step int)) (res *Replayed, err error) {
	if last := r.Common().Schedule.Steps; step < 1 || step > last {
		return nil, fmt.Errorf("train: step %d cannot be replayed; the run has steps 1 to %d", step, last)
	}
	if _, err := r.settingsEdited(); err != nil {
		return nil, err
	}
	if err := r.sameSeed(r.State); err != nil {
		return nil, err
	}
	from, err := r.before(step)
	if err != nil {
		return nil, err
	}
	p := &replay{Run: from, latest: r.State, res: Replayed{From: from.State.Step, Folder: from.Dir}, each: each}
	if p.recorded, err = recordedSteps(r.Dir, from.State.Step, step); err != nil {
		return nil, err
	}
	defer planned(&err)
	err = p.run(ctx, step)
	return &p.res, err
}

// before is the run as it was at its latest checkpoint before a step, or at the beginning, which has no folder.
func (r *Run) before(step int) (*Run, error) {
	steps, err := checkpoint.Kept(r.Dir)
	if err != nil {
		return nil, err
	}
	dirs := []string{r.Dir}
	for _, step := range steps {
		dirs = append(dirs, filepath.Join(r.Dir, filepath.FromSlash(checkpoint.KeptName(step))))
	}
	best := &Run{Task: r.Task, State: firstState(*r.Common())}
	for _, dir := range dirs {
		st, err := readState(dir, *r.Common())
		if err != nil {
			if dir == r.Dir {
				return nil, err
			}
			continue // an older checkpoint that cannot be read is none
		}
		if st.Step < step && st.Step > best.State.Step {
			best = &Run{Dir: dir, Task: r.Task, State: st}
		}
	}
	return best, nil
}

// replay is a run that is computed again.
type replay struct {
	*Run
	s        *Session
	latest   checkpoint.State // of the run
	res      Replayed
	recorded *records
	each     func(step int)
}

// run computes the steps up to last, and further to the end of the window of its record.
func (p *replay) run(ctx context.Context, last int) error {
	if err := p.Task.Open(ctx, nil); err != nil {
		return err
	}
	o := p.options()
	o.Loop.Certificate = true
	usage, err := PlanOf(p.learner, o)
	if err != nil {
		return err
	}
	s, be, err := p.session(usage, o)
	if err != nil {
		return err
	}
	defer be.Close()
	p.s = s
	if err := p.load(p.s); err != nil {
		return err
	}
	if err := cmp.Or(p.sameSettings(max(last, p.recorded.end)), p.sameRates(last)); err != nil {
		return err
	}
	p.res.Against = p.recorded.kind()
	window := p.State.Window
	for step := p.State.Step + 1; step <= max(last, p.recorded.end); step++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		res, err := p.step(step)
		skipped := diverged(err)
		if skipped {
			err = p.leaveOut(step, err)
		}
		if err != nil {
			return err
		}
		if p.res.Step = step; p.res.Difference != nil && skipped {
			return nil
		}
		if !skipped {
			window.Steps++
			window.Losses += res.Loss
			p.res.Certificate = *p.s.Certificate()
			p.compare(p.recorded.certificates[step])
			if step <= last && p.Common().Loop.Certificate && p.recorded.certificates[step] == nil {
				p.res.Uncertified++
			}
		}
		if mean, ok := p.recorded.losses[step]; ok && p.res.Against == againstLoss && window.Steps > 0 {
			p.compareLoss(step, mean, window.Losses/float64(window.Steps))
		}
		if _, ok := p.recorded.rates[step]; ok {
			window.Steps, window.Losses = 0, 0
		}
		if p.each != nil {
			p.each(step)
		}
	}
	return nil
}

// step computes a step with the schedule that the run had then.
func (p *replay) step(step int) (StepResult, error) {
	p.s.options.Schedule, p.s.slower = p.Common().Schedule, slower(p.recorded.rewinds(step, p.State.Rewinds))
	if c := courseAt(p.latest, step); c != nil {
		p.s.options.Schedule, p.s.slower = scheduleOf(c), slower(c.Rewinds)
	}
	return p.s.Step(step)
}

// leaveOut leaves out a step that diverges with why, as the run did. If parameters have changed in it, the ones before
// it are computed again. It is a difference if the run has a certificate of the step, and an error if the run ends when
// a step diverges.
func (p *replay) leaveOut(step int, why error) error {
	if p.recorded.certificates[step] != nil {
		p.res.Difference = &metric.Difference{Step: step, What: "the step", A: "done", B: "left out: " + why.Error()}
		return nil
	}
	if p.Common().Loop.OnDivergence.stops() {
		return fmt.Errorf("train: step %d diverges when it is computed again: %w", step, why)
	}
	p.res.LeftOut = append(p.res.LeftOut, step)
	if !p.s.Changed() {
		return nil
	}
	if err := p.refill(p.s); err != nil {
		return err
	}
	for before := p.State.Step + 1; before < step; before++ {
		if slices.Contains(p.res.LeftOut, before) {
			continue
		}
		if _, err := p.step(before); err != nil {
			return err
		}
	}
	return nil
}

// sameSettings fails if the run did one of the steps up to last with other settings than it has now.
func (p *replay) sameSettings(last int) error {
	is := numericSettings(p.Task)
	for step := p.State.Step + 1; step <= last; step++ {
		if c := courseAt(p.latest, step); c != nil && c.Settings != is {
			until := step
			for ; until < p.latest.Step && courseAt(p.latest, until+1).Settings == c.Settings; until++ {
			}
			return &SettingsError{Step: step, Until: until}
		}
	}
	return nil
}

// sameRates fails if the settings give another learning rate than the run recorded of the steps up to last, of which
// the schedule is not known.
func (p *replay) sameRates(last int) error {
	for step := p.State.Step + 1; step < last+maxWindow; step++ {
		was, ok := p.recorded.rates[step]
		if !ok || courseAt(p.latest, step) != nil {
			continue
		}
		if is := p.Common().Schedule.At(step) * slower(p.recorded.back[step]); is != was {
			return &RateError{Step: step, Was: was, Is: is}
		}
		if step >= last {
			break
		}
	}
	return nil
}

// compare holds the latest certificate against the recorded one.
func (p *replay) compare(recorded *metric.Certificate) {
	if recorded == nil {
		return
	}
	p.res.Compared++
	if p.res.Difference == nil {
		p.res.Difference = recorded.Differ(&p.res.Certificate)
	}
}

// compareLoss holds the mean loss of a window against the recorded one.
func (p *replay) compareLoss(step int, recorded, computed float64) {
	p.res.Compared++
	if p.res.Difference == nil && math.Float64bits(recorded) != math.Float64bits(computed) {
		p.res.Difference = &metric.Difference{Step: step, What: "loss", A: fmt.Sprint(recorded), B: fmt.Sprint(computed)}
	}
}

// What a step is compared with.
const (
	againstCertificate = "certificate"
	againstLoss        = "loss"
	againstNothing     = "nothing"
)

// records are what a run recorded of the steps that are computed again.
type records struct {
	certificates map[int]*metric.Certificate
	losses       map[int]float64
	rates        map[int]float64 // learning rates of the steps with a record, which end a window
	back         map[int]int     // rewinds by the record of a step
	end          int             // step of the first record of losses that the last step is in; 0: it is not needed
}

func (r *records) kind() string {
	switch {
	case len(r.certificates) > 0:
		return againstCertificate
	case r.end > 0:
		return againstLoss
	}
	return againstNothing
}

// rewinds is how often the run had gone back when it did a step: as the next record says, or as it was before.
func (r *records) rewinds(step, before int) int {
	for s := step; s < step+maxWindow; s++ {
		if _, ok := r.rates[s]; ok {
			return r.back[s]
		}
	}
	return before
}

// maxWindow is the most steps that are looked through for a record.
const maxWindow = 1 << 16

// recordedSteps reads what the run in dir recorded of the steps after from, up to last. Without a certificate of last,
// the losses up to the first record that last is in count.
func recordedSteps(dir string, from, last int) (*records, error) {
	r := &records{certificates: map[int]*metric.Certificate{}, losses: map[int]float64{}, rates: map[int]float64{}, back: map[int]int{}}
	err := metric.EachCertificate(dir, func(c metric.Certificate) bool {
		if c.Step > from && c.Step <= last {
			r.certificates[c.Step] = &c
		}
		return c.Step < last
	})
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	series, _, err := metric.ReadSeries(filepath.Join(dir, metric.JSONLName))
	if errors.Is(err, os.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	for _, s := range series {
		for _, p := range s.Points {
			step := int(p.X)
			if step <= from {
				continue
			}
			switch s.Name {
			case "lr":
				r.rates[step] = p.Y
			case "rewinds":
				r.back[step] = int(p.Y)
			case "train/loss":
				if r.losses[step] = p.Y; len(r.certificates) == 0 && step >= last {
					r.end = cmp.Or(r.end, step)
				}
			}
		}
	}
	return r, nil
}
