package jinja

import (
	"fmt"
	"slices"
	"strconv"
)

// tuple parses expressions between commas.
func (p *parser) tuple(conditions bool) (expr, error) {
	parse := p.expression
	if !conditions {
		parse = p.or
	}
	e, err := parse()
	if err != nil || !p.is(tOp, ",") {
		return e, err
	}
	list := &listExpr{[]expr{e}, true}
	for p.take(tOp, ",") {
		if t := p.now(); t.kind == tBlockEnd || t.kind == tPrintEnd || p.is(tOp, ")") {
			break
		}
		if e, err = parse(); err != nil {
			return nil, err
		}
		list.items = append(list.items, e)
	}
	return list, nil
}

func (p *parser) expression() (expr, error) {
	up, err := p.nested()
	if err != nil {
		return nil, err
	}
	defer up()
	e, err := p.or()
	for err == nil && p.take(tName, "if") {
		c := &conditional{then: e}
		if c.cond, err = p.or(); err == nil && p.take(tName, "else") {
			c.other, err = p.expression()
		}
		e = c
	}
	return e, err
}

func (p *parser) or() (expr, error)  { return p.logic("or", p.and) }
func (p *parser) and() (expr, error) { return p.logic("and", p.not) }

func (p *parser) logic(word string, operand func() (expr, error)) (expr, error) {
	e, err := operand()
	if err != nil || !p.is(tName, word) {
		return e, err
	}
	l := &logic{word == "and", []expr{e}}
	for p.take(tName, word) {
		if e, err = operand(); err != nil {
			return nil, err
		}
		l.items = append(l.items, e)
	}
	return l, nil
}

func (p *parser) not() (expr, error) {
	line := p.now().line
	if !p.take(tName, "not") {
		return p.comparison()
	}
	up, err := p.nested()
	if err != nil {
		return nil, err
	}
	defer up()
	e, err := p.not()
	return &unary{"not", e, line}, err
}

func (p *parser) comparison() (expr, error) {
	e, err := p.row(p.concat, "+", "-")
	if err != nil {
		return nil, err
	}
	c := &compare{first: e, line: p.now().line}
	for {
		op := p.now().text
		switch {
		case p.is(tOp, "==", "!=", "<", "<=", ">", ">="), p.is(tName, "in"):
			p.next()
		case p.is(tName, "not") && p.tokens[p.at+1].kind == tName && p.tokens[p.at+1].text == "in":
			op = "not in"
			p.at += 2
		case len(c.rest) == 0:
			return e, nil
		default:
			return c, nil
		}
		right, err := p.row(p.concat, "+", "-")
		if err != nil {
			return nil, err
		}
		c.ops, c.rest = append(c.ops, op), append(c.rest, right)
	}
}

func (p *parser) concat() (expr, error)  { return p.row(p.product, "~") }
func (p *parser) product() (expr, error) { return p.row(p.power, "*", "/", "//", "%") }
func (p *parser) power() (expr, error) {
	return p.row(func() (expr, error) { return p.unary(true) }, "**")
}

// row parses a row of operators of one precedence.
func (p *parser) row(operand func() (expr, error), ops ...string) (expr, error) {
	e, err := operand()
	if err != nil || !p.is(tOp, ops...) {
		return e, err
	}
	c := &chain{first: e, line: p.now().line}
	for p.is(tOp, ops...) {
		c.ops = append(c.ops, p.next().text)
		if e, err = operand(); err != nil {
			return nil, err
		}
		c.rest = append(c.rest, e)
	}
	return c, nil
}

func (p *parser) unary(filters bool) (e expr, err error) {
	up, err := p.nested()
	if err != nil {
		return nil, err
	}
	defer up()
	if line := p.now().line; p.is(tOp, "-", "+") {
		op := p.next().text
		e, err = p.unary(false)
		e = &unary{op, e, line}
	} else {
		e, err = p.primary()
	}
	if err == nil {
		e, err = p.postfix(e)
	}
	if err == nil && filters {
		e, err = p.filters(e, true)
	}
	return e, err
}

// constants are names with a value.
var constants = map[string]bool{"true": true, "True": true, "false": true, "False": true, "none": true, "None": true}

func (p *parser) primary() (expr, error) {
	t := p.next()
	switch t.kind {
	case tName:
		if constants[t.text] {
			return literal{map[byte]any{'t': true, 'T': true, 'f': false, 'F': false}[t.text[0]]}, nil
		}
		return name{t.text, t.line}, nil
	case tString:
		text := t.text
		for p.now().kind == tString {
			text += p.next().text
		}
		return literal{text}, nil
	case tInt:
		n, err := strconv.ParseInt(t.text, 10, 64)
		if err != nil {
			return nil, &Error{Line: t.line, Text: fmt.Sprintf("the number %.40s is too large", t.text)}
		}
		return literal{n}, nil
	case tFloat:
		f, err := strconv.ParseFloat(t.text, 64)
		if err != nil {
			return nil, &Error{Line: t.line, Text: fmt.Sprintf("the number %.40s is too large", t.text)}
		}
		return literal{f}, nil
	case tOp:
		switch t.text {
		case "(":
			if p.take(tOp, ")") {
				return &listExpr{nil, true}, nil
			}
			e, err := p.tuple(true)
			if err == nil {
				err = p.expect(tOp, ")")
			}
			return e, err
		case "[":
			items, err := p.items("]")
			return &listExpr{items, false}, err
		case "{":
			return p.dict()
		}
	}
	p.at--
	return nil, p.wrong("%s, and a value was to come", t.shown())
}

// items parses expressions between commas up to a closing bracket.
func (p *parser) items(end string) (items []expr, err error) {
	for !p.take(tOp, end) {
		if len(items) > 0 {
			if err := p.expect(tOp, ","); err != nil {
				return nil, err
			}
			if p.take(tOp, end) {
				break
			}
		}
		e, err := p.expression()
		if err != nil {
			return nil, err
		}
		items = append(items, e)
	}
	return items, nil
}

func (p *parser) dict() (expr, error) {
	d := &dictExpr{}
	for !p.take(tOp, "}") {
		if len(d.keys) > 0 {
			if err := p.expect(tOp, ","); err != nil {
				return nil, err
			}
			if p.take(tOp, "}") {
				break
			}
		}
		key, err := p.expression()
		if err == nil {
			err = p.expect(tOp, ":")
		}
		if err != nil {
			return nil, err
		}
		value, err := p.expression()
		if err != nil {
			return nil, err
		}
		d.keys, d.values = append(d.keys, key), append(d.values, value)
	}
	return d, nil
}

// postfix parses attributes, items and calls.
func (p *parser) postfix(e expr) (expr, error) {
	for n := 0; ; n++ {
		line := p.now().line
		if n > maxDepth {
			return nil, &LimitError{What: "levels of nesting", Most: maxDepth}
		}
		switch {
		case p.take(tOp, "."):
			t := p.next()
			switch t.kind {
			case tName:
				e = &getExpr{of: e, attr: t.text, line: line}
			case tInt:
				i, _ := strconv.ParseInt(t.text, 10, 64)
				e = &getExpr{of: e, key: literal{i}, line: line}
			default:
				p.at--
				return nil, p.wrong("%s, and a name was to come", t.shown())
			}
		case p.take(tOp, "["):
			var err error
			if e, err = p.item(e, line); err != nil {
				return nil, err
			}
		case p.is(tOp, "("):
			var err error
			if e, err = p.call(e, line); err != nil {
				return nil, err
			}
		default:
			return e, nil
		}
	}
}

// call parses the arguments of a call of of.
func (p *parser) call(of expr, line int) (expr, error) {
	args, err := p.args()
	if err != nil {
		return nil, err
	}
	return &callExpr{of, args, line}, nil
}

// item parses what stands in a[..].
func (p *parser) item(of expr, line int) (expr, error) {
	var parts [3]expr
	slices := 0
	for n := 0; n < 3; n++ {
		if !p.is(tOp, ":", "]") {
			e, err := p.tuple(true)
			if err != nil {
				return nil, err
			}
			parts[n] = e
		}
		if !p.take(tOp, ":") {
			break
		}
		slices++
	}
	if err := p.expect(tOp, "]"); err != nil {
		return nil, err
	}
	if slices > 0 {
		return &sliceExpr{of, parts[0], parts[1], parts[2], line}, nil
	}
	if parts[0] == nil {
		return nil, p.wrong("nothing stands in [ ]")
	}
	return &getExpr{of: of, key: parts[0], line: line}, nil
}

// args parses the arguments of a call.
func (p *parser) args() (a arguments, err error) {
	if err := p.expect(tOp, "("); err != nil {
		return a, err
	}
	for !p.take(tOp, ")") {
		if len(a.list) > 0 {
			if err := p.expect(tOp, ","); err != nil {
				return a, err
			}
			if p.take(tOp, ")") {
				break
			}
		}
		if p.now().kind == tName && p.tokens[p.at+1].kind == tOp && p.tokens[p.at+1].text == "=" {
			a.names = append(a.names, p.next().text)
			p.next()
		} else if len(a.names) > 0 {
			return a, p.wrong("an argument without a name stands behind one with a name")
		}
		several := p.take(tOp, "*")
		if several && len(a.names) > 0 {
			return a, p.wrong("arguments from a list stand behind one with a name")
		}
		e, err := p.expression()
		if err != nil {
			return a, err
		}
		if several {
			e = spread{e}
		}
		a.list = append(a.list, e)
	}
	return a, nil
}

// filters parses filters and tests after e. Without the first pipe, as in {% filter f %}, begun is false.
func (p *parser) filters(e expr, begun bool) (expr, error) {
	for n := 0; ; n++ {
		line := p.now().line
		if n > maxDepth {
			return nil, &LimitError{What: "levels of nesting", Most: maxDepth}
		}
		switch {
		case !begun || p.take(tOp, "|"):
			begun = true
			id, err := p.id()
			if err != nil {
				return nil, err
			}
			if filters[id] == nil {
				return nil, p.wrong("no filter is named %.40q", id)
			}
			f := &filterExpr{of: e, id: id, line: line}
			if p.is(tOp, "(") {
				if f.args, err = p.args(); err != nil {
					return nil, err
				}
			}
			e = f
		case p.take(tName, "is"):
			var err error
			if e, err = p.test(e, line); err != nil {
				return nil, err
			}
		case p.is(tOp, "("):
			var err error
			if e, err = p.call(e, line); err != nil {
				return nil, err
			}
		default:
			return e, nil
		}
	}
}

// test parses what follows is.
func (p *parser) test(e expr, line int) (expr, error) {
	t := &testExpr{of: e, negated: p.take(tName, "not"), line: line}
	var err error
	if t.id, err = p.id(); err != nil {
		return nil, err
	}
	if tests[t.id] == nil {
		return nil, p.wrong("no test is named %.40q", t.id)
	}
	switch now := p.now(); {
	case p.is(tOp, "("):
		t.args, err = p.args()
	case now.kind == tString, now.kind == tInt, now.kind == tFloat, p.is(tOp, "[", "{"),
		now.kind == tName && !slices.Contains([]string{"else", "or", "and", "if", "in", "is", "not", "recursive"}, now.text):
		var arg expr
		if arg, err = p.primary(); err == nil {
			arg, err = p.postfix(arg)
		}
		t.args.list = []expr{arg}
	}
	return t, err
}
