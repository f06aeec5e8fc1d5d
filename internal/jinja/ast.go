package jinja

// expr is an expression; each evaluates itself.
type expr interface {
	eval(r *run) (any, error)
}

// stmt is a statement; each executes itself.
type stmt interface {
	exec(r *run) error
}

type (
	literal struct{ value any }

	name struct {
		id   string
		line int
	}

	// listExpr is a list, or a tuple.
	listExpr struct {
		items []expr
		tuple bool
	}

	dictExpr struct{ keys, values []expr }

	// getExpr is an attribute a.b, or an item a[b].
	getExpr struct {
		of, key expr
		attr    string // of a.b, for which key is nil
		line    int
	}

	sliceExpr struct {
		of                expr
		start, stop, step expr // nil: left out
		line              int
	}

	callExpr struct {
		of   expr
		args arguments
		line int
	}

	filterExpr struct {
		of   expr // nil: what a block says
		id   string
		args arguments
		line int
	}

	testExpr struct {
		of      expr
		id      string
		args    arguments
		negated bool
		line    int
	}

	unary struct {
		op   string
		of   expr
		line int
	}

	// chain is a row of operators of one precedence, from the left: a + b - c.
	chain struct {
		first expr
		ops   []string
		rest  []expr
		line  int
	}

	// compare is a < b < c: every pair has to hold.
	compare struct {
		first expr
		ops   []string
		rest  []expr
		line  int
	}

	// logic is a row of and, or of or.
	logic struct {
		and   bool
		items []expr
	}

	conditional struct{ then, cond, other expr } // other nil: undefined
)

// spread is *a among the arguments of a call: each item of a is one.
type spread struct{ expr }

// arguments are what a call, filter or test gets.
type arguments struct {
	list  []expr
	names []string // of the last ones of list
}

type (
	textStmt  struct{ text string }
	printStmt struct{ value expr }

	ifStmt struct {
		conds  []expr
		bodies [][]stmt // one more than conds if there is an else
	}

	forStmt struct {
		target     target
		over       expr
		cond       expr // nil: every item
		body, none []stmt
		line       int
	}

	setStmt struct {
		target target
		value  expr
		line   int
	}

	// setBlock is {% set a %}..{% endset %}, or {% filter f %}..{% endfilter %} without a target.
	setBlock struct {
		id     string
		filter expr // of filterExpr with of nil at its root; nil: none
		body   []stmt
		line   int
	}

	macroStmt struct {
		id       string
		params   []string
		defaults []expr // of the last ones
		body     []stmt
	}

	callStmt struct {
		call   *callExpr
		caller *macroStmt
	}

	// group is statements one after the other, for example what {% generation %} encloses.
	group struct{ body []stmt }

	jump struct{ err error } // break, continue
)

// target is what is assigned to.
type target struct {
	names []string // several: the value is unpacked
	attr  string   // of the namespace names[0]
	tuple bool
}
