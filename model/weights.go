package model

import (
	"cmp"
	"fmt"

	"github.com/bdia-go/bdia/tensor"
)

// WeightType is the type in which a model holds its matrices in memory: tables and the weights of linear layers. Norms,
// biases and adapters are float32 always.
type WeightType string

// The types. A model computes with BF16 what it computes with the same values in float32, bit for bit.
const (
	WeightsF32  WeightType = "" // float32
	WeightsBF16 WeightType = "bf16"
)

// DType is the type of the tensors.
func (w WeightType) DType() tensor.DType {
	if w == WeightsBF16 {
		return tensor.BF16
	}
	return tensor.F32
}

// MarshalText and UnmarshalText let a WeightType stand in flags and files, as f32 or bf16.
func (w WeightType) MarshalText() ([]byte, error) { return []byte(cmp.Or(string(w), "f32")), nil }

func (w *WeightType) UnmarshalText(text []byte) error {
	switch string(text) {
	case "f32", "":
		*w = WeightsF32
	case "bf16":
		*w = WeightsBF16
	default:
		return fmt.Errorf("model: weights of type %.20q; use f32 or bf16", text)
	}
	return nil
}

func (w WeightType) validate() error { return new(WeightType).UnmarshalText([]byte(w)) }
