package convert

import (
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tensor"
)

// timmNames maps the names of a vision transformer's parameters to timm's. The
// layouts are the same: a linear weight is (out,in), and a patch is a vector of
// channel, row, column.
var timmNames = strings.NewReplacer("patch.", "patch_embed.proj.", "ln1.", "norm1.", "ln2.", "norm2.")

// timmName returns timm's name and shape of a parameter.
func timmName(c model.ViTConfig, p *tensor.Param) (string, []int) {
	dims := p.Value.Shape.Dims()
	switch p.Name {
	case "cls":
		return "cls_token", []int{1, 1, c.Width}
	case "pos":
		return "pos_embed", []int{1, c.Positions(), c.Width}
	case "patch.weight":
		return "patch_embed.proj.weight", []int{c.Width, 3, c.Patch, c.Patch}
	}
	if part, ok := strings.CutPrefix(p.Name, "lnf."); ok {
		if c.MeanPool {
			return "fc_norm." + part, dims
		}
		return "norm." + part, dims
	}
	return timmNames.Replace(p.Name), dims
}

// hfViTNames maps timm's names to the names in Hugging Face's ViT.
var hfViTNames = strings.NewReplacer("cls_token", "embeddings.cls_token", "pos_embed", "embeddings.position_embeddings",
	"patch_embed.proj.", "embeddings.patch_embeddings.projection.", "blocks.", "encoder.layer.",
	"norm1.", "layernorm_before.", "norm2.", "layernorm_after.", "attn.proj.", "attention.output.dense.",
	"mlp.fc1.", "intermediate.dense.", "mlp.fc2.", "output.dense.")

// vitNames are the naming schemes of files. Each maps timm's name of a tensor to
// the file's names; several names mean that the tensor's rows are split over
// them.
var vitNames = []struct {
	sign string // a name that only this scheme has
	of   func(name string) []string
}{
	{"patch_embed.proj.weight", func(name string) []string { return []string{name} }},
	{"vit.embeddings.patch_embeddings.projection.weight", func(name string) []string { return hfViTName("vit.", name) }},
	{"embeddings.patch_embeddings.projection.weight", func(name string) []string { return hfViTName("", name) }},
}

// vitNaming returns the naming scheme of f, by default timm's.
func vitNaming(f Tensors) func(name string) []string {
	for _, n := range vitNames {
		if _, ok := f.Info(n.sign); ok {
			return n.of
		}
	}
	return vitNames[0].of
}

func hfViTName(prefix, name string) []string {
	block, part, ok := strings.Cut(name, "attn.qkv.")
	switch {
	case ok:
		base := prefix + hfViTNames.Replace(block) + "attention.attention."
		return []string{base + "query." + part, base + "key." + part, base + "value." + part}
	case strings.HasPrefix(name, "head."):
		return []string{"classifier." + strings.TrimPrefix(name, "head.")}
	case strings.HasPrefix(name, "norm."):
		return []string{prefix + "layernorm." + strings.TrimPrefix(name, "norm.")}
	}
	return []string{prefix + hfViTNames.Replace(name)}
}

// WriteViT writes a model's parameters as timm's model.safetensors, in F32.
func WriteViT(w io.Writer, be backend.Backend, m *model.ViT) error {
	return WriteViTAs(w, be, m, Form{})
}

// WriteViTAs is WriteViT in a form.
func WriteViTAs(w io.Writer, be backend.Backend, m *model.ViT, form Form) error {
	var parts []part
	for _, p := range m.Params() {
		name, shape := timmName(m.Config, p)
		parts = append(parts, part{name: name, shape: shape, src: p.Value})
	}
	return form.write(w, be, parts)
}

// ReadViT loads a model's parameters from the model.safetensors of timm or of
// Hugging Face's ViT: a missing, misshapen or unknown tensor is ErrMismatch.
func ReadViT(be backend.Backend, m *model.ViT, f Tensors) error {
	_, err := readViT(be, m, f, false)
	return err
}

// AdaptViT is ReadViT for fine-tuning: a head with another number of classes is
// not loaded, and positions for another image size are interpolated (bicubic with
// antialiasing, like timm's resample_abs_pos_embed). changes lists both.
func AdaptViT(be backend.Backend, m *model.ViT, f Tensors) (changes []string, err error) {
	return readViT(be, m, f, true)
}

func readViT(be backend.Backend, m *model.ViT, f Tensors, adapt bool) (changes []string, err error) {
	if f, err = bare(f); err != nil {
		return nil, err
	}
	of := vitNaming(f)
	if _, ok := f.Info(of(fmt.Sprintf("blocks.%d.norm1.weight", m.Config.Layers))[0]); ok {
		return nil, fmt.Errorf("convert: %w: the file has more than %d blocks", ErrMismatch, m.Config.Layers)
	}
	newHead := false
	if info, ok := f.Info(of("head.weight")[0]); adapt && (!ok || len(info.Shape) != 2 || info.Shape[0] != m.Config.Classes) {
		newHead = true
		changes = append(changes, fmt.Sprintf("a new head for %d classes", m.Config.Classes))
	}
	if err := noOthers(m, f, of); err != nil {
		return nil, err
	}
	mover := NewMover(be)
	for _, p := range m.Params() {
		name, shape := timmName(m.Config, p)
		if newHead && strings.HasPrefix(name, "head.") {
			continue
		}
		if name == "pos_embed" && adapt {
			if grid, ok := gridOf(m.Config, f, of(name)[0]); ok {
				if err := readPositions(be, m, f, of(name)[0], p, grid); err != nil {
					return nil, err
				}
				side := m.Config.Image / m.Config.Patch
				changes = append(changes, fmt.Sprintf("positions interpolated from %dx%d to %dx%d patches", grid, grid, side, side))
				continue
			}
		}
		parts := of(name)
		want := append([]int{shape[0] / len(parts)}, shape[1:]...)
		n := p.Value.Len() / len(parts)
		for i, part := range parts {
			err := fits(f, part, want, fmt.Sprintf("a vision transformer of %d blocks", m.Config.Layers))
			if err == nil {
				err = mover.Read(p.Value.Slice(i*n, (i+1)*n), f, part, 0)
			}
			if err != nil {
				return nil, err
			}
		}
	}
	return changes, nil
}

// noOthers returns an error if f has tensors that the model does not have, such
// as layer scale: without them it would be another model. The pooler of Hugging
// Face's ViT is allowed, since the classifier does not use it.
func noOthers(m *model.ViT, f Tensors, of func(name string) []string) error {
	known := map[string]bool{}
	for _, p := range m.Params() {
		name, _ := timmName(m.Config, p)
		for _, part := range of(name) {
			known[part] = true
		}
	}
	for _, name := range f.Names() {
		if !known[name] && !strings.HasPrefix(strings.TrimPrefix(name, "vit."), "pooler.") {
			return fmt.Errorf("convert: %w: tensor %s belongs to no plain vision transformer of %d blocks", ErrMismatch, name, m.Config.Layers)
		}
	}
	return nil
}

// gridOf returns the side of the patch grid of a file's positions, and whether it
// differs from the model's.
func gridOf(c model.ViTConfig, f Tensors, name string) (side int, other bool) {
	info, ok := f.Info(name)
	if !ok || len(info.Shape) != 3 || info.Shape[0] != 1 || info.Shape[2] != c.Width {
		return 0, false
	}
	n := info.Shape[1] - (c.Positions() - c.Patches())
	side = int(math.Sqrt(float64(n)))
	return side, side > 0 && side*side == n && n != c.Patches()
}

// readPositions interpolates the positions of a grid of side×side patches.
func readPositions(be backend.Backend, m *model.ViT, f Tensors, name string, p *tensor.Param, side int) error {
	c := m.Config
	prefix, C := (c.Positions()-c.Patches())*c.Width, c.Width
	old := make([]float32, prefix+side*side*C)
	if err := f.ReadFloat32At(name, old, 0); err != nil {
		return err
	}
	host := make([]float32, p.Value.Len())
	copy(host[:prefix], old)
	to := c.Image / c.Patch
	rows := resample(old[prefix:], side, to, side*C) // (side,side,C) → (to,side,C)
	for r := range to {
		copy(host[prefix+r*to*C:], resample(rows[r*side*C:(r+1)*side*C], side, to, C))
	}
	be.Upload(p.Value, host)
	return nil
}

// resample scales the rows of x (from,width) to (to,width) by bicubic
// interpolation with a = -1/2, widened by the scale if that is above 1
// (antialiasing). Rows outside x get no weight.
func resample(x []float32, from, to, width int) []float32 {
	y := make([]float32, to*width)
	sum := make([]float64, width)
	scale := float64(from) / float64(to)
	reach := max(scale, 1)
	for i := range to {
		centre := (float64(i) + 0.5) * scale
		lo, hi := max(int(centre-2*reach+0.5), 0), min(int(centre+2*reach+0.5), from)
		var total float64
		clear(sum)
		for j := lo; j < hi; j++ {
			w := cubic((float64(j) + 0.5 - centre) / reach)
			total += w
			for k := range sum {
				sum[k] += float64(w * float64(x[j*width+k]))
			}
		}
		for k, s := range sum {
			y[i*width+k] = float32(s / total)
		}
	}
	return y
}

// cubic is Keys' kernel with a = -1/2.
func cubic(t float64) float64 {
	t = math.Abs(t)
	switch {
	case t < 1:
		return (1.5*t-2.5)*t*t + 1
	case t < 2:
		return ((-0.5*t+2.5)*t-4)*t + 2
	}
	return 0
}
