package train

// Marshal is what a run keeps in bdia.yaml, for tests.
var Marshal = marshal

// Whole compares the checkpoint that a run goes back to.
func (r *Run) Whole() error { return r.whole() }
