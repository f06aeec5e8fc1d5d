package backend

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/bdia-go/bdia/internal/bytesize"
)

// Device is a Backend that owns memory and workers, for one goroutine at a time.
type Device interface {
	Backend
	// Name describes the device for people, for example "cpu (avx512, 8 threads)".
	Name() string
	// Close stops the workers and frees the arena. No tensor may be used afterwards.
	Close()
}

// Limits are the largest sizes that a backend can work with. A limit of 0 is none.
type Limits struct {
	// HeadWidth is the largest width of an attention head: C/H.
	HeadWidth int
	// AttentionWeights is how many weights of one sample attention's dropout can tell
	// apart: heads * queries * keys, the keys rounded up to a multiple of 64.
	AttentionWeights int64
}

// Options choose a device and how it works: speed and, by Precision alone, bits. The zero value is
// every processor of this machine, in float32.
type Options struct {
	Device  string `yaml:"device,omitempty"` // of Devices; empty: cpu
	Threads int    `yaml:"threads"`          // cpu: 0 stands for all processors
	ISA     string `yaml:"isa"`              // cpu: portable, avx2, avx512 or amx; empty: the best this machine has

	Precision Precision `yaml:"precision,omitempty"` // of matrix products
}

// Driver makes the devices of one kind. Packages register theirs when they are
// imported, for example backend/cpu.
type Driver interface {
	// Validate returns an error for the first option that this machine cannot meet.
	Validate(o Options) error
	// Plan returns a backend without arithmetic for the arena of such a device: its
	// Peak begins with what the device takes for itself.
	Plan(o Options) Backend
	// Fits returns a MemoryError if there is not the memory for an arena of so many bytes, with beside bytes of other
	// memory of the program and ProgramBytes for the program itself.
	Fits(o Options, arena, beside int64) error
	// Open returns a device with an arena of so many bytes: the Peak of a Plan.
	Open(o Options, bytes int64) (Device, error)
}

var drivers = map[string]Driver{}

// Register makes a driver available under a name. It is called from init functions
// and panics when the name is taken.
func Register(name string, d Driver) {
	if _, taken := drivers[name]; taken {
		panic("backend: two drivers for device " + name)
	}
	drivers[name] = d
}

// Devices lists the names of the registered drivers in alphabetical order.
func Devices() []string { return slices.Sorted(maps.Keys(drivers)) }

// driver returns the driver that o names.
func (o Options) driver() (Driver, error) {
	name := o.Device
	if name == "" {
		name = "cpu"
	}
	if d, ok := drivers[name]; ok {
		return d, nil
	}
	if name == "cpu" {
		return nil, fmt.Errorf("backend: the program has no device cpu; import _ %q", "github.com/bdia-go/bdia/backend/cpu")
	}
	return nil, fmt.Errorf("backend: unknown device %q; use %s", name, strings.Join(Devices(), " or "))
}

// Validate returns an error for the first option that this machine cannot meet.
func (o Options) Validate() error {
	d, err := o.driver()
	if err != nil {
		return err
	}
	return d.Validate(o)
}

// NewPlan returns a backend that does no arithmetic and records what the same calls
// would take of a device's arena (see Arena.Peak).
func NewPlan(o Options) (Backend, error) {
	d, err := o.driver()
	if err == nil {
		err = d.Validate(o)
	}
	if err != nil {
		return nil, err
	}
	return d.Plan(o), nil
}

// Open opens a device with an arena of so many bytes: the peak of a plan made with
// the same options. Close it.
func Open(o Options, bytes int64) (Device, error) {
	d, err := o.driver()
	if err != nil {
		return nil, err
	}
	return d.Open(o, bytes)
}

// ProgramBytes is about what a program takes beside arena and data: its code, Go's runtime, buffers, figures.
const ProgramBytes = 40 << 20

// Fits reports, before anything is taken, whether a device can have an arena of so many bytes while the program takes
// beside bytes of other memory, such as decoded images: a MemoryError if not. ProgramBytes come on top.
func Fits(o Options, arena, beside int64) error {
	d, err := o.driver()
	if err != nil {
		return err
	}
	return d.Fits(o, arena, beside)
}

// Fit opens a device with an arena exactly as large as a program needs. It runs
// build on a plan, then rehearse (which may be nil), opens a device of the peak that
// they came to, and runs build again, on the device.
//
// Build allocates what stays, for example a model; it must make the same calls both
// times. Rehearse uses what build made in each way that will take memory, for example
// one pass with the largest batch. What the memory holds, such as weights, is loaded
// by the caller afterwards.
func Fit(o Options, build func(be Backend) error, rehearse func() error) (Device, error) {
	plan, err := NewPlan(o)
	if err != nil {
		return nil, err
	}
	if err := build(plan); err != nil {
		return nil, err
	}
	if rehearse != nil {
		if err := rehearse(); err != nil {
			return nil, err
		}
	}
	d, err := Open(o, plan.Peak().Total)
	if err != nil {
		return nil, err
	}
	if err := build(d); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// MemoryError says that there is not the memory for an arena, or for the data beside it.
type MemoryError struct {
	Device string // its name in Options
	Arena  int64  // bytes of it
	Beside int64  // bytes of the program and its data, about
	Free   int64  // bytes that the program may have in all; 0 if the device does not tell
	Limit  string // what limits it, for example a file of the system; empty: it is not known
	Err    error  // what the system said, or nil
}

// Error names both amounts, what limits them, and a way out.
func (e *MemoryError) Error() string {
	const way = "; use smaller batches, micro-batches or models, or less data"
	if e.Err != nil {
		return fmt.Sprintf("%s: %d bytes of memory: %v%s", e.Device, e.Arena, e.Err, way)
	}
	var limit string
	if e.Limit != "" {
		limit = " by " + e.Limit
	}
	return fmt.Sprintf("%s: %s of memory are needed (%s arena, %s beside it) and %s are free%s%s",
		e.Device, bytesize.Text(e.Arena+e.Beside), bytesize.Text(e.Arena), bytesize.Text(e.Beside), bytesize.Text(e.Free), limit, way)
}

// Unwrap returns what the system said.
func (e *MemoryError) Unwrap() error { return e.Err }
