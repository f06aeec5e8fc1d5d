package train

import (
	"context"

	"github.com/bdia-go/bdia/backend"
)

// own is the task of a run that Start made.
type own struct {
	options Options
	build   func(be backend.Backend) (Learner, error)
}

func (t *own) Name() string                                  { return "own" }
func (t *own) Config() any                                   { return &t.options.Common }
func (t *own) Common() *Common                               { return &t.options.Common }
func (t *own) Validate() error                               { return t.options.Common.Validate() }
func (*own) Prepare(context.Context, string, Progress) error { return nil }
func (*own) Reopen(string) error                             { return nil }
func (*own) Open(context.Context, Progress) error            { return nil }
func (*own) Close() error                                    { return nil }
func (*own) Save(string) error                               { return nil }
func (*own) Fixed() any                                      { return struct{}{} }
func (t *own) Learner(be backend.Backend) (Learner, error)   { return t.build(be) }
