//go:build !unix

package bench

// peakRSS returns 0: it is not known on these systems.
func peakRSS() float64 { return 0 }
