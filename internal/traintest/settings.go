package traintest

import (
	"os"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/optim"
	"github.com/bdia-go/bdia/train"
)

// Settings returns the settings of a run, for example Settings[text.Config](r).
func Settings[C any](r *train.Run) *C { return r.Task.Config().(*C) }

// Optimizer returns the named optimiser with its usual constants.
func Optimizer(t testing.TB, name string) optim.Config {
	t.Helper()
	c, err := optim.Default(name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// NoGrid returns the method without a grid.
func NoGrid(m bdia.Memory, g bdia.Gamma) bdia.Options {
	return bdia.Options{Memory: m, Gamma: g, Grid: bdia.NoGrid}
}

// AsPlanned fails unless a run took the memory planned, to the byte.
func AsPlanned(t testing.TB, sum train.Summary) {
	t.Helper()
	if sum.Peak != sum.Planned {
		t.Errorf("the arena's peak was\n%v\nthe plan\n%v", sum.Peak, sum.Planned)
	}
}

// Read returns the content of a file.
func Read(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
