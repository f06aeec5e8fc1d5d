//go:build amd64 && !noasm

package kernel

import "unsafe"

// assembly tells whether this build has the kernels of vecOp in assembly.
const assembly = true

// call runs op on a.
func (isa ISA) call(op vecOp, a *vecArgs) {
	if isa >= avx512 {
		call512(op, (*byte)(unsafe.Pointer(a)))
	} else {
		call256(op, (*byte)(unsafe.Pointer(a)))
	}
}

// onRows runs op on the rows of a.
func (isa ISA) onRows(op rowOp, a *rowArgs) {
	if isa >= avx512 {
		rows512(op, (*byte)(unsafe.Pointer(a)))
	} else {
		rows256(op, (*byte)(unsafe.Pointer(a)))
	}
}

// draw makes the draws of dropout.
func (isa ISA) draw(a *keepArgs) {
	if isa >= avx512 {
		vecDraw512((*byte)(unsafe.Pointer(a)))
	} else {
		vecDraw256((*byte)(unsafe.Pointer(a)))
	}
}

// drawWhole makes whole draws.
func (isa ISA) drawWhole(a *keepArgs) {
	if isa >= avx512 {
		vecHalves512((*byte)(unsafe.Pointer(a)))
	} else {
		vecHalves256((*byte)(unsafe.Pointer(a)))
	}
}

func rows512(op rowOp, a *byte) {
	switch op {
	case opSoftmax:
		vecSoftmaxRows512(a)
	case opSoftmaxBackward:
		vecSoftmaxBackwardRows512(a)
	case opDotRows:
		vecDotRows512(a)
	case opDotHalves:
		vecDotHalves512(a)
	case opScaleRows:
		vecScaleRows512(a)
	case opLayerNorm:
		vecLayerNorm512(a)
	case opLayerNormNoBias:
		vecLayerNormNoBias512(a)
	case opLayerNormBackward:
		vecLayerNormBackward512(a)
	case opRMSNorm:
		vecRMSNorm512(a)
	case opRMSNormBackward:
		vecRMSNormBackward512(a)
	case opRotate:
		vecRotate512(a)
	}
}

func call512(op vecOp, a *byte) {
	switch op {
	case opNormParams:
		vecNormParams512(a)
	case opNormParamsNoBias:
		vecNormParamsNoBias512(a)
	case opNormParams4:
		vecNormParams4512(a)
	case opNormParams4NoBias:
		vecNormParams4NoBias512(a)
	case opRMSNormWeight:
		vecRMSNormWeight512(a)
	case opRMSNormWeight4:
		vecRMSNormWeight4512(a)
	case opDot:
		vecDot512(a)
	case opMax:
		vecMax512(a)
	case opMin:
		vecMin512(a)
	case opExpSum:
		vecExpSum512(a)
	case opGELUTanh:
		vecGELUTanh512(a)
	case opGELUTanhBackward:
		vecGELUTanhBackward512(a)
	case opGELUErf:
		vecGELUErf512(a)
	case opGELUErfBackward:
		vecGELUErfBackward512(a)
	case opGatedSiLU:
		vecGatedSiLU512(a)
	case opGatedSiLUBackward:
		vecGatedSiLUBackward512(a)
	case opAdd:
		vecAdd512(a)
	case opScale:
		vecScale512(a)
	case opQuantise:
		vecQuantise512(a)
	case opAddQuantised:
		vecAddQuantised512(a)
	case opQuantisedAdd:
		vecQuantisedAdd512(a)
	case opAdvance:
		vecAdvance512(a)
	case opRetreat:
		vecRetreat512(a)
	case opAdvanceQuantised1:
		vecAdvanceQuantised1512(a)
	case opAdvanceQuantised1NoSide:
		vecAdvanceQuantised1NoSide512(a)
	case opAdvanceQuantised2NoSide:
		vecAdvanceQuantised2NoSide512(a)
	case opAdvanceQuantised3NoSide:
		vecAdvanceQuantised3NoSide512(a)
	case opAdvanceQuantised2:
		vecAdvanceQuantised2512(a)
	case opAdvanceQuantised3:
		vecAdvanceQuantised3512(a)
	case opRetreatQuantised1:
		vecRetreatQuantised1512(a)
	case opRetreatQuantised2:
		vecRetreatQuantised2512(a)
	case opRetreatQuantised3:
		vecRetreatQuantised3512(a)
	case opKeep:
		vecKeep512(a)
	case opCompleteGrad:
		vecCompleteGrad512(a)
	case opAdamW:
		vecAdamW512(a)
	case opSGD:
		vecSGD512(a)
	case opMoments:
		vecMoments512(a)
	case opSETUpdate:
		vecSETUpdate512(a)
	case opAdamW8:
		vecAdamW8512(a)
	case opEncodeSigned:
		vecEncodeSigned512(a)
	case opEncodeUnsigned:
		vecEncodeUnsigned512(a)
	case opWiden:
		vecWiden512(a)
	case opNarrow:
		vecNarrow512(a)
	case opNearest:
		vecNearest512(a)
	}
}

func rows256(op rowOp, a *byte) {
	switch op {
	case opSoftmax:
		vecSoftmaxRows256(a)
	case opSoftmaxBackward:
		vecSoftmaxBackwardRows256(a)
	case opDotRows:
		vecDotRows256(a)
	case opDotHalves:
		vecDotHalves256(a)
	case opScaleRows:
		vecScaleRows256(a)
	case opLayerNorm:
		vecLayerNorm256(a)
	case opLayerNormNoBias:
		vecLayerNormNoBias256(a)
	case opLayerNormBackward:
		vecLayerNormBackward256(a)
	case opRMSNorm:
		vecRMSNorm256(a)
	case opRMSNormBackward:
		vecRMSNormBackward256(a)
	case opRotate:
		vecRotate256(a)
	}
}

func call256(op vecOp, a *byte) {
	switch op {
	case opNormParams:
		vecNormParams256(a)
	case opNormParamsNoBias:
		vecNormParamsNoBias256(a)
	case opNormParams4:
		vecNormParams4256(a)
	case opNormParams4NoBias:
		vecNormParams4NoBias256(a)
	case opRMSNormWeight:
		vecRMSNormWeight256(a)
	case opRMSNormWeight4:
		vecRMSNormWeight4256(a)
	case opDot:
		vecDot256(a)
	case opMax:
		vecMax256(a)
	case opMin:
		vecMin256(a)
	case opExpSum:
		vecExpSum256(a)
	case opGELUTanh:
		vecGELUTanh256(a)
	case opGELUTanhBackward:
		vecGELUTanhBackward256(a)
	case opGELUErf:
		vecGELUErf256(a)
	case opGELUErfBackward:
		vecGELUErfBackward256(a)
	case opGatedSiLU:
		vecGatedSiLU256(a)
	case opGatedSiLUBackward:
		vecGatedSiLUBackward256(a)
	case opAdd:
		vecAdd256(a)
	case opScale:
		vecScale256(a)
	case opQuantise:
		vecQuantise256(a)
	case opAddQuantised:
		vecAddQuantised256(a)
	case opQuantisedAdd:
		vecQuantisedAdd256(a)
	case opAdvance:
		vecAdvance256(a)
	case opRetreat:
		vecRetreat256(a)
	case opAdvanceQuantised1:
		vecAdvanceQuantised1256(a)
	case opAdvanceQuantised1NoSide:
		vecAdvanceQuantised1NoSide256(a)
	case opAdvanceQuantised2NoSide:
		vecAdvanceQuantised2NoSide256(a)
	case opAdvanceQuantised3NoSide:
		vecAdvanceQuantised3NoSide256(a)
	case opAdvanceQuantised2:
		vecAdvanceQuantised2256(a)
	case opAdvanceQuantised3:
		vecAdvanceQuantised3256(a)
	case opRetreatQuantised1:
		vecRetreatQuantised1256(a)
	case opRetreatQuantised2:
		vecRetreatQuantised2256(a)
	case opRetreatQuantised3:
		vecRetreatQuantised3256(a)
	case opKeep:
		vecKeep256(a)
	case opCompleteGrad:
		vecCompleteGrad256(a)
	case opAdamW:
		vecAdamW256(a)
	case opSGD:
		vecSGD256(a)
	case opMoments:
		vecMoments256(a)
	case opSETUpdate:
		vecSETUpdate256(a)
	case opAdamW8:
		vecAdamW8256(a)
	case opEncodeSigned:
		vecEncodeSigned256(a)
	case opEncodeUnsigned:
		vecEncodeUnsigned256(a)
	case opWiden:
		vecWiden256(a)
	case opNarrow:
		vecNarrow256(a)
	case opNearest:
		vecNearest256(a)
	}
}
