package train

import (
	"cmp"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"

	"github.com/bdia-go/bdia/checkpoint"
)

// ChangeError is the error of a setting that cannot change while a run goes on, for what the run has depends on it:
// its weights, its tokens, or the optimiser's state.
type ChangeError struct {
	Setting  string // section and key, for example "model.width"
	From, To any
}

// Error names the setting and both values.
func (e *ChangeError) Error() string {
	return fmt.Sprintf("%s is %v in this run and cannot become %v; leave it out, or start a new run", e.Setting, shown(e.From), shown(e.To))
}

// EpochsError is the error of a run that is to become longer or shorter by epochs: after its beginning a run's length
// is counted in steps.
type EpochsError struct {
	From, To float64 // epochs; From 0: the length was given in steps
	Steps    int     // of the run
}

// Error says how many steps the epochs are.
func (e *EpochsError) Error() string {
	if e.From == 0 {
		return fmt.Sprintf("this run is %d steps long, not so many epochs", e.Steps)
	}
	return fmt.Sprintf("this run of %v epochs is %d steps long; for %v epochs make it %d", e.From, e.Steps, e.To, e.Want())
}

// Want is the number of steps of as many epochs as were asked for; 0 if that is not known.
func (e *EpochsError) Want() int {
	if e.From == 0 {
		return 0
	}
	return int(math.Ceil(float64(e.Steps) * e.To / e.From))
}

// Epochal is a Task that may give the length of a run in epochs; 0: it is in steps.
type Epochal interface {
	Epochs() float64
}

// Reconfigure gives the run the settings of t, a task of the same kind, and saves them. What weights, data and the
// optimiser's state depend on has to stay (ChangeError, EpochsError), and so has the precision of matrix products,
// unless NewPrecision asks for another (PrecisionError). It fails with checkpoint.ErrLocked while the run is being
// trained, with checkpoint.ErrOther if another process has changed its settings since it was opened, and with
// ErrNoState if the run has weights and no state.
func (r *Run) Reconfigure(t Task) error {
	if err := cmp.Or(lost(r.Dir), Unchanged(r.Task, t)); err != nil {
		return err
	}
	if err := cmp.Or(r.samePrecision(r.State, *t.Common()), Settled(t), t.Validate()); err != nil {
		return err
	}
	return r.change(t)
}

// change gives the run the settings of t, a task of the same kind, and saves them.
func (r *Run) change(t Task) error {
	is, to := reflect.ValueOf(r.Task.Config()).Elem(), reflect.ValueOf(t.Config()).Elem()
	if reflect.DeepEqual(is.Interface(), to.Interface()) && !r.adopts() {
		return nil
	}
	folder, err := checkpoint.Hold(r.Dir)
	if err != nil {
		return err
	}
	defer folder.Close()
	if err := r.sameSettings(); err != nil {
		return err
	}
	if r.edit, err = r.settingsEdited(); err != nil {
		return err
	}
	if err := r.saveConfig(t, folder.Save); err != nil {
		return err
	}
	is.Set(to)
	return nil
}

// Unchanged reports the first setting of a run, if any, that is another one in to and cannot be (see Reconfigure).
func Unchanged(from, to Task) error {
	if from.Name() != to.Name() {
		return &ChangeError{"task", from.Name(), to.Name()}
	}
	a, b := from.Common(), to.Common()
	if e, ok := from.(Epochal); ok {
		was, is := e.Epochs(), to.(Epochal).Epochs()
		if is != 0 && is != was {
			return &EpochsError{was, is, a.Schedule.Steps}
		}
	}
	if all := differences(reflect.ValueOf(from.Fixed()), reflect.ValueOf(to.Fixed()), "", false); len(all) > 0 {
		return all[0]
	}
	for _, c := range []*ChangeError{{seedSetting, a.Loop.Seed, b.Loop.Seed}, {"loop.ema", a.Loop.EMA, b.Loop.EMA}, {"optimizer.name", a.Optimizer.Name, b.Optimizer.Name},
		{"optimizer.state_bits", a.Optimizer.StateBits, b.Optimizer.StateBits}, {"optimizer.table_bits", a.Optimizer.TableBits, b.Optimizer.TableBits}} {
		if c.From != c.To {
			return c
		}
	}
	return nil
}

// differences are the settings that two structs have differently. Settings of Common count if common is set.
func differences(from, to reflect.Value, section string, common bool) (all []*ChangeError) {
	for _, f := range reflect.VisibleFields(from.Type()) {
		a, b := from.FieldByIndex(f.Index), to.FieldByIndex(f.Index)
		if f.Anonymous || !common && isCommon(from.Type(), f) || reflect.DeepEqual(a.Interface(), b.Interface()) {
			continue
		}
		key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		name := section + key
		if a.Kind() == reflect.Struct {
			all = append(all, differences(a, b, name+".", common)...)
			continue
		}
		all = append(all, &ChangeError{name, a.Interface(), b.Interface()})
	}
	return all
}

// isCommon reports a field of an embedded Common.
func isCommon(in reflect.Type, f reflect.StructField) bool {
	return len(f.Index) > 1 && in.FieldByIndex(f.Index[:1]).Type == reflect.TypeFor[Common]()
}

// shown is a value as errors show it: a text, which may be empty, in quotation marks, and a list as a text.
func shown(v any) any {
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.String:
		return strconv.Quote(r.String())
	case reflect.Slice:
		return strconv.Quote(fmt.Sprint(v))
	}
	return v
}
