package jinja

import (
	"fmt"
	"slices"
)

// parser makes statements of tokens.
type parser struct {
	tokens []token
	at     int
	depth  int // of nesting
	loops  int // that are open
}

func (p *parser) now() token { return p.tokens[p.at] }

func (p *parser) next() token {
	t := p.tokens[p.at]
	if t.kind != tEOF {
		p.at++
	}
	return t
}

func (p *parser) wrong(format string, args ...any) error {
	return &Error{Line: p.now().line, Text: fmt.Sprintf(format, args...)}
}

// is reports whether the token at hand is an operator or a name.
func (p *parser) is(k kind, texts ...string) bool {
	t := p.now()
	return t.kind == k && slices.Contains(texts, t.text)
}

// take takes the token at hand if it is this one.
func (p *parser) take(k kind, text string) bool {
	if p.is(k, text) {
		p.at++
		return true
	}
	return false
}

func (p *parser) expect(k kind, text string) error {
	if !p.take(k, text) {
		return p.wrong("%s, and %q was to come", p.now().shown(), text)
	}
	return nil
}

// shown is a token in an error.
func (t token) shown() string {
	switch t.kind {
	case tEOF:
		return "the template ends"
	case tBlockEnd, tPrintEnd:
		return "the tag ends"
	}
	return fmt.Sprintf("%.40q stands there", t.text)
}

func (p *parser) id() (string, error) {
	if p.now().kind != tName {
		return "", p.wrong("%s, and a name was to come", p.now().shown())
	}
	return p.next().text, nil
}

// nested counts a level of nesting until the function that it returns is called.
func (p *parser) nested() (func(), error) {
	if p.depth++; p.depth > maxDepth {
		return nil, &LimitError{What: "levels of nesting", Most: maxDepth}
	}
	return func() { p.depth-- }, nil
}

// body parses statements up to a tag with one of the names, which it takes, and returns that name. Without names it
// parses to the end.
func (p *parser) body(ends ...string) (body []stmt, end string, err error) {
	up, err := p.nested()
	if err != nil {
		return nil, "", err
	}
	defer up()
	for {
		t := p.next()
		switch t.kind {
		case tText:
			body = append(body, textStmt{t.text})
		case tPrint:
			e, err := p.tuple(true)
			if err != nil {
				return nil, "", err
			}
			if p.now().kind != tPrintEnd {
				return nil, "", p.wrong("%s, and }} was to come", p.now().shown())
			}
			p.next()
			body = append(body, printStmt{e})
		case tBlock:
			name, err := p.id()
			if err != nil {
				return nil, "", err
			}
			if slices.Contains(ends, name) {
				return body, name, nil
			}
			s, err := p.statement(name)
			if err != nil {
				return nil, "", err
			}
			body = append(body, s)
		default:
			if len(ends) > 0 {
				return nil, "", p.wrong("the template ends, and %q was to come", ends[len(ends)-1])
			}
			return body, "", nil
		}
	}
}

// endTag takes the end of a tag.
func (p *parser) endTag() error {
	if p.now().kind != tBlockEnd {
		return p.wrong("%s, and %%} was to come", p.now().shown())
	}
	p.next()
	return nil
}

// block parses a body up to the tag named end.
func (p *parser) block(end string) ([]stmt, error) {
	if err := p.endTag(); err != nil {
		return nil, err
	}
	body, _, err := p.body(end)
	if err == nil {
		err = p.endTag()
	}
	return body, err
}

// statement parses what follows the name of a tag.
func (p *parser) statement(name string) (stmt, error) {
	line := p.now().line
	switch name {
	case "if":
		return p.ifStmt()
	case "for":
		return p.forStmt(line)
	case "set":
		return p.setStmt(line)
	case "macro":
		id, err := p.id()
		if err != nil {
			return nil, err
		}
		return p.macro(id, "endmacro")
	case "call":
		return p.callStmt(line)
	case "filter":
		f, err := p.filters(nil, false)
		if err != nil {
			return nil, err
		}
		body, err := p.block("endfilter")
		return setBlock{"", f, body, line}, err
	case "generation":
		body, err := p.block("endgeneration")
		return group{body}, err
	case "break", "continue":
		if p.loops == 0 {
			return nil, p.wrong("%s stands outside a loop", name)
		}
		return jump{map[string]error{"break": errBreak, "continue": errContinue}[name]}, p.endTag()
	}
	return nil, p.wrong("the tag %.40q is not known", name)
}

func (p *parser) ifStmt() (stmt, error) {
	var s ifStmt
	for {
		cond, err := p.tuple(true)
		if err == nil {
			err = p.endTag()
		}
		if err != nil {
			return nil, err
		}
		body, end, err := p.body("elif", "else", "endif")
		if err != nil {
			return nil, err
		}
		s.conds, s.bodies = append(s.conds, cond), append(s.bodies, body)
		switch end {
		case "else":
			body, err := p.block("endif")
			s.bodies = append(s.bodies, body)
			return s, err
		case "endif":
			return s, p.endTag()
		}
	}
}

func (p *parser) forStmt(line int) (stmt, error) {
	s := forStmt{line: line}
	var err error
	if s.target, err = p.target(false); err != nil {
		return nil, err
	}
	if err := p.expect(tName, "in"); err != nil {
		return nil, err
	}
	if s.over, err = p.tuple(false); err != nil {
		return nil, err
	}
	if p.take(tName, "if") {
		if s.cond, err = p.expression(); err != nil {
			return nil, err
		}
	}
	if p.is(tName, "recursive") {
		return nil, p.wrong("recursive loops are not supported")
	}
	if err := p.endTag(); err != nil {
		return nil, err
	}
	p.loops++
	body, end, err := p.body("else", "endfor")
	p.loops--
	if s.body = body; err != nil {
		return nil, err
	}
	if end == "else" {
		s.none, err = p.block("endfor")
		return s, err
	}
	return s, p.endTag()
}

// target parses names to assign to.
func (p *parser) target(attributes bool) (t target, err error) {
	inside := p.take(tOp, "(")
	for {
		id, err := p.id()
		if err != nil {
			return t, err
		}
		if constants[id] || id == "loop" && !attributes {
			return t, p.wrong("%q cannot be assigned to", id)
		}
		t.names = append(t.names, id)
		if attributes && len(t.names) == 1 && p.take(tOp, ".") {
			t.attr, err = p.id()
			return t, err
		}
		if !p.take(tOp, ",") {
			break
		}
		t.tuple = true
		if p.now().kind != tName || p.is(tName, "in") {
			break
		}
	}
	if inside {
		return t, p.expect(tOp, ")")
	}
	return t, nil
}

func (p *parser) setStmt(line int) (stmt, error) {
	t, err := p.target(true)
	if err != nil {
		return nil, err
	}
	if p.take(tOp, "=") {
		value, err := p.tuple(true)
		if err == nil {
			err = p.endTag()
		}
		return setStmt{t, value, line}, err
	}
	var filter expr
	if p.take(tOp, "|") {
		if filter, err = p.filters(nil, false); err != nil {
			return nil, err
		}
	}
	if t.attr != "" || t.tuple {
		return nil, p.wrong("a block is assigned to one name")
	}
	body, err := p.block("endset")
	return setBlock{t.names[0], filter, body, line}, err
}

// macro parses the parameters and the body of a macro.
func (p *parser) macro(id, end string) (*macroStmt, error) {
	m := &macroStmt{id: id}
	if end == "endmacro" || p.is(tOp, "(") {
		if err := p.expect(tOp, "("); err != nil {
			return nil, err
		}
		for !p.take(tOp, ")") {
			if len(m.params) > 0 {
				if err := p.expect(tOp, ","); err != nil {
					return nil, err
				}
			}
			param, err := p.id()
			if err != nil {
				return nil, err
			}
			m.params = append(m.params, param)
			if p.take(tOp, "=") {
				e, err := p.expression()
				if err != nil {
					return nil, err
				}
				m.defaults = append(m.defaults, e)
			} else if len(m.defaults) > 0 {
				return nil, p.wrong("a parameter without a default stands behind one with a default")
			}
		}
	}
	if end != "endmacro" {
		return m, nil // the body follows the call
	}
	loops := p.loops
	p.loops = 0
	var err error
	m.body, err = p.block(end)
	p.loops = loops
	return m, err
}

func (p *parser) callStmt(line int) (stmt, error) {
	caller, err := p.macro("caller", "endcall")
	if err != nil {
		return nil, err
	}
	e, err := p.expression()
	if err != nil {
		return nil, err
	}
	call, ok := e.(*callExpr)
	if !ok {
		return nil, &Error{Line: line, Text: "{% call %} needs a call"}
	}
	loops := p.loops
	p.loops = 0
	caller.body, err = p.block("endcall")
	p.loops = loops
	return callStmt{call, caller}, err
}
