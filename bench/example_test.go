package bench_test

import (
	"fmt"

	"github.com/bdia-go/bdia/bench"
)

// A step is judged by the peak of the machine, which MeasureMachine measures. TimeStep measures steps.
func ExampleStep_Against() {
	machine := bench.Machine{ISA: "avx512", Threads: 8, GFLOPS: 800, Products: 800, Bandwidth: 40}
	step := bench.Step{SecondsPerStep: 0.5, MatrixFLOPs: 300e9}
	step.Against(machine)
	fmt.Printf("%.0f%% of the peak\n", 100*step.Utilisation)
	// Output: 75% of the peak
}
