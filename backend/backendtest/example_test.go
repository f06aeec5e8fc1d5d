package backendtest_test

import (
	"fmt"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/backend/backendtest"
	"github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/tensor"
)

// Deferred runs operations only when a result is read, as a device with a queue does. Code that passes its tests on it
// waits for no more than it must. A backend is tested by Run, in its own tests:
//
//	func TestBackend(t *testing.T) {
//		backendtest.Run(t, func(t testing.TB, bytes int64) backend.Backend { return open(t, bytes) })
//	}
func ExampleDeferred() {
	device, err := cpu.New(cpu.Options{ArenaBytes: cpu.ScratchBytes(0) + 1<<10})
	if err != nil {
		panic(err)
	}
	defer device.Close()
	be := backendtest.Deferred(device)
	x := be.Alloc(backend.Activation, tensor.F32, tensor.Shape{2})
	y := make([]float32, 2)
	be.Upload(x, []float32{1, 2})
	be.Scale(x, 10)
	device.Download(y, x)
	fmt.Println(y, "before")
	be.Download(y, x)
	fmt.Println(y, "after")
	// Output:
	// [0 0] before
	// [10 20] after
}
