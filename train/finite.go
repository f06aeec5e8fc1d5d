package train

import (
	"fmt"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/optim"
	"github.com/bdia-go/bdia/tensor"
)

// Finite returns a sink that closes gradients in next only while all of them are finite. At the first one that is not,
// this and the later parameters of the step keep their values, and End fails with model.ErrDiverged.
func Finite(be backend.Backend, next Sink) Sink { return &finite{Sink: next, be: be} }

type finite struct {
	Sink
	be   backend.Backend
	step int
	err  error
}

func (s *finite) Begin(step int, lr float64) {
	s.step, s.err = step, nil
	s.Sink.Begin(step, lr)
}

func (s *finite) Close(params []*tensor.Param) {
	if s.err != nil {
		return
	}
	if p := optim.GradNotFinite(s.be, params); p != nil {
		s.err = fmt.Errorf("train: the gradient of %s is not finite at step %d: %w; lower the learning rate, lengthen the warm-up or clip gradients",
			p.Name, s.step, model.ErrDiverged)
		return
	}
	s.Sink.Close(params)
}

func (s *finite) End() (float64, error) {
	if s.err != nil {
		return 0, s.err
	}
	return s.Sink.End()
}
