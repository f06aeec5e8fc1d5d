package backend

import (
	"testing"

	"github.com/bdia-go/bdia/internal/rng"
)

// TestSites holds the number of every site, on which all random numbers depend, and
// that no two uses have the same.
func TestSites(t *testing.T) {
	t.Parallel()
	names := map[Site]string{}
	for want, site := range map[uint8]struct {
		name string
		site Site
	}{
		0: {"gamma", rng.SiteGamma}, 5: {"data", rng.SiteData}, 6: {"init", rng.SiteInit}, 7: {"generate", rng.SiteGenerate}, 20: {"rounding", rng.SiteRounding},
		1: {"embedding", SiteEmbedding}, 2: {"attention", SiteAttention}, 3: {"attention proj", SiteAttentionProj}, 4: {"MLP", SiteMLP},
		8: {"attention path", SiteAttentionPath}, 9: {"MLP path", SiteMLPPath},
		10: {"cross", SiteCross}, 11: {"cross proj", SiteCrossProj}, 12: {"cross path", SiteCrossPath},
		13: {"adapter qkv", SiteAdapterQKV}, 14: {"adapter proj", SiteAdapterProj},
		15: {"adapter fc1", SiteAdapterFC1}, 16: {"adapter fc2", SiteAdapterFC2},
		17: {"adapter keys", SiteAdapterKeys}, 18: {"adapter values", SiteAdapterValues}, 19: {"adapter up", SiteAdapterUp},
	} {
		if uint8(site.site) != want {
			t.Errorf("site %s has the number %d, want %d", site.name, site.site, want)
		}
		if other, taken := names[site.site]; taken {
			t.Errorf("sites %s and %s have the number %d", site.name, other, site.site)
		}
		if site.site >= SiteOwn {
			t.Errorf("site %s has the number %d, which belongs to other packages", site.name, site.site)
		}
		names[site.site] = site.name
	}
}
