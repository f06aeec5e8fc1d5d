package train

import (
	"context"
	"errors"
	"fmt"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
)

// ownName is the task, in bdia.yaml, of a run that Start made.
const ownName = "own"

// ErrOwn is wrapped by the error of Open, New and ReadConfig for a run that Start made: only the program with its
// Learner can go on with it.
var ErrOwn = errors.New("a program's own run, which goes on in that program (train.Start)")

// own is the task of a run that Start made.
type own struct {
	options Options
	build   func(be backend.Backend) (Learner, error)
}

func (t *own) Name() string                                  { return ownName }
func (t *own) Config() any                                   { return &t.options.Common }
func (t *own) Common() *Common                               { return &t.options.Common }
func (t *own) Validate() error                               { return t.options.Common.Validate() }
func (*own) Prepare(context.Context, string, Progress) error { return nil }
func (*own) Reopen(string) error                             { return nil }
func (*own) Open(context.Context, Progress) error            { return nil }
func (*own) Close() error                                    { return nil }
func (*own) Save(string) error                               { return nil }

// Fixed are the settings that the random draws and the states depend on.
func (t *own) Fixed() any {
	var f ownFixed
	m := t.options.Method
	f.Method.Gamma, f.Method.Grid, f.Method.Ramp = m.Gamma, m.Grid, m.Ramp
	f.Loop.Seed = t.options.Loop.Seed
	return f
}

type ownFixed struct {
	Method struct {
		Gamma bdia.Gamma `yaml:"gamma"`
		Grid  bdia.Grid  `yaml:"grid"`
		Ramp  bdia.Ramp  `yaml:"ramp"`
	} `yaml:"method"`
	Loop struct {
		Seed uint64 `yaml:"seed"`
	} `yaml:"loop"`
}

// Learner builds the Learner. A function that returns none, and no error, has a mistake that is told here.
func (t *own) Learner(be backend.Backend) (Learner, error) {
	l, err := t.build(be)
	if err == nil && l == nil {
		err = fmt.Errorf("train: the function given to Start returned no Learner")
	}
	return l, err
}
