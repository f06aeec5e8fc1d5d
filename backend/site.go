package backend

import "github.com/bdia-go/bdia/internal/rng"

// Site tells apart the uses of randomness within a block, so that each has random
// numbers of its own. A backend's stream of a Draw is keyed by the Site's number, which
// therefore never changes: another number is another mask.
type Site = rng.Site

// The sites of this module's dropout. Numbers between them belong to package rng.
const (
	SiteEmbedding     Site = 1
	SiteAttention     Site = 2 // weights of self-attention
	SiteAttentionProj Site = 3
	SiteMLP           Site = 4
	SiteAttentionPath Site = 8  // stochastic depth of the attention branch
	SiteMLPPath       Site = 9  // stochastic depth of the MLP branch
	SiteCross         Site = 10 // weights of attention to another sequence
	SiteCrossProj     Site = 11
	SiteCrossPath     Site = 12 // stochastic depth of its branch
	SiteAdapterQKV    Site = 13 // before the adapter of a linear layer, in the order of the layers
	SiteAdapterProj   Site = 14
	SiteAdapterFC1    Site = 15
	SiteAdapterFC2    Site = 16
	SiteAdapterKeys   Site = 17 // where queries, keys and values have adapters of their own; queries draw at SiteAdapterQKV
	SiteAdapterValues Site = 18
	SiteAdapterUp     Site = 19 // beside a gate, which draws at SiteAdapterFC1
)

// SiteOwn is the first of the numbers that this module never uses: a block of another
// package draws its dropout at SiteOwn, SiteOwn+1, and so on.
const SiteOwn Site = 128
