package train

// Marshal is what a run keeps in bdia.yaml, for tests.
var Marshal = marshal
