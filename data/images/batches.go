package images

// BatchOptions describe the training batches of a run. Seed and those above it
// determine the bits; Threads and Ahead only the speed.
type BatchOptions struct {
	Batch          int     // samples of a step's global batch
	Augment        Augment // how images are varied
	LabelSmoothing float64 // share of a target spread evenly over all classes, at least 0 and below 1
	Seed           uint64  // of the order of samples and of all augmentation
	Threads        int     // that prepare images; 0: one for each processor
	Ahead          int     // batches prepared before they are asked for; 0: 2
}

// Validate reports the first option that cannot be.
func (o BatchOptions) Validate() error { panic("not written yet") }

// Batches gives the batches of training steps. An epoch is a permutation of the
// set that depends on seed and epoch only; position p = (step-1)*Batch + i of a
// run is image perm(p / Len)[p mod Len], so batches run on over the end of an
// epoch and no image is left out. Background goroutines prepare the batches that
// follow the last one asked for.
type Batches struct{}

// NewBatches starts to prepare the batches of set. Close must be called in the
// end.
func NewBatches(set *Set, o BatchOptions) (*Batches, error) { panic("not written yet") }

// Batch gives samples first..first+n-1 of the global batch of a step (steps
// count from 1): pixels (n,3,S,S) normalised, targets (n,classes) probabilities.
// Any step may be asked for; successive steps find their batch prepared. The
// bits depend on neither the steps asked before nor on first and n. Only one
// goroutine may call Batch and Close. It allocates nothing unless images have to
// be decoded.
func (b *Batches) Batch(step, first, n int, pixels, targets []float32) error { panic("not written yet") }

// Epoch returns the epoch (from 0) of the first sample of a step and how far
// into it the step starts, 0 to 1.
func (b *Batches) Epoch(step int) (epoch int, done float64) { panic("not written yet") }

// Close ends the background goroutines. A later Batch is an error.
func (b *Batches) Close() { panic("not written yet") }
