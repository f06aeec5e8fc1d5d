package kernel

// The generators are a module of their own, so that users of this module do not download their dependencies. A test
// there fails when a generated file is stale.

//go:generate go -C _gen run ./gemm -pkg kernel -out ../gemm_amd64.s -stubs ../gemm_stub_amd64.go -tables ../gemm_table_amd64.go
//go:generate go -C _gen run ./gemm16 -pkg kernel -out ../gemm16_amd64.s -stubs ../gemm16_stub_amd64.go
//go:generate go -C _gen run ./vector -pkg kernel -out ../vector_amd64.s -stubs ../vector_stub_amd64.go
