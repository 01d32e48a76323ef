package qapi

// expectation is what may come next.
type expectation uint8

const (
	wantValue expectation = iota
	wantElement
	wantFirstElement // or ]
	wantKey
	wantFirstKey // or }
	wantColon
	wantMember
	wantObjectEnd // or ,
	wantArrayEnd  // or ,
)

// A frame is a bracket or brace that is open.
type frame struct {
	open uint32 // its entry on the tape
	key  uint32 // of an object: the entry of the key read last
	keys uint32 // of an object: how many keys it has
}

// A parser makes a tape of the tokens of one value at a time.
type parser struct {
	limits Limits
	want   expectation
	stack  []frame
	tape   []token
	names  nameSet

	tokens, size     int // of the value so far
	braces, brackets int // open, counted apart as recovery needs it
	recovering       bool
}

// accept takes one token. done says that the value on the tape is complete;
// a fault, that the input is broken here.
func (p *parser) accept(l *lexer, t lexeme) (done bool, fault *Error) {
	p.tokens++
	p.size += l.size
	switch t {
	case lexStray:
		p.braces, p.brackets = 0, 0
		if p.recovering {
			p.resync(l)
			return false, nil
		}
		return false, p.fault(l, strayText(l))
	case '{':
		p.braces++
	case '}':
		p.braces--
	case '[':
		p.brackets++
	case ']':
		p.brackets--
	}
	if p.recovering {
		p.resync(l)
		return false, nil
	}
	if fault := p.exceeded(l); fault != nil {
		return false, fault
	}
	if msg := p.parse(l, t); msg != "" {
		return false, p.fault(l, msg)
	}
	return p.want == wantValue && len(p.tape) > 0, nil
}

// exceeded checks the limits.
func (p *parser) exceeded(l *lexer) *Error {
	msg := ""
	switch {
	case p.size >= p.limits.Bytes:
		msg = "JSON token size limit exceeded"
	case p.tokens > p.limits.Tokens:
		msg = "JSON token count limit exceeded"
	case p.braces+p.brackets > p.limits.Depth:
		msg = "JSON nesting depth limit exceeded"
	default:
		return nil
	}
	p.resync(l)
	return &Error{GenericError, msg}
}

// fault gives the value up and returns the error to be answered.
func (p *parser) fault(l *lexer, msg string) *Error {
	p.resync(l)
	return Errorf("%d:%d: JSON parse error, %s", l.place.line, l.place.column,
		msg[:min(len(msg), maxMessage)])
}

// resync drops what was parsed. Input is dropped too until the brackets and
// braces open at the fault are closed, or one too many of a kind is.
func (p *parser) resync(l *lexer) {
	p.recovering = p.braces >= 0 && p.brackets >= 0 && p.braces+p.brackets > 0
	l.text = scrap(l.text, slabBytes)
	p.tape = scrap(p.tape, slabTokens)
	if !p.recovering {
		p.reset()
	}
}

// reset makes the parser ready for the next value.
func (p *parser) reset() {
	p.want = wantValue
	p.stack = p.stack[:0]
	p.names.reset()
	p.tokens, p.size = 0, 0
	p.braces, p.brackets = 0, 0
}

// scrap empties s, and gives it up if it has outgrown a slab.
func scrap[T any](s []T, slab int) []T {
	if cap(s) > slab {
		return nil
	}
	return s[:0]
}

// parse checks a token against what may come, and puts it on the tape. It
// returns what is wrong, in QEMU's words, or "".
func (p *parser) parse(l *lexer, t lexeme) string {
	switch p.want {
	case wantFirstKey, wantKey:
		if t == '}' && p.want == wantFirstKey {
			return p.close(l)
		}
		if t != lexString {
			return "expecting key"
		}
		return p.key(l)
	case wantColon:
		if t != ':' {
			return "expecting ':'"
		}
		p.want = wantMember
		return ""
	case wantObjectEnd:
		switch t {
		case '}':
			return p.close(l)
		case ',':
			p.want = wantKey
			return ""
		}
		return "expected ',' or '}'"
	case wantArrayEnd:
		switch t {
		case ']':
			return p.close(l)
		case ',':
			p.want = wantElement
			return ""
		}
		return "expected ',' or ']'"
	case wantFirstElement:
		if t == ']' {
			return p.close(l)
		}
	}
	return p.value(l, t)
}

// value takes a token where a value may start.
func (p *parser) value(l *lexer, t lexeme) string {
	switch t {
	case '{':
		p.open(Object, wantFirstKey)
		return ""
	case '[':
		p.open(Array, wantFirstElement)
		return ""
	case lexString:
		if msg := p.text(l, String, 0); msg != "" {
			return msg
		}
	case lexInteger:
		p.text(l, Number, integral)
	case lexDouble:
		p.text(l, Number, 0)
	case lexKeyword:
		kind, flags, ok := keyword(l.token())
		if !ok {
			return "invalid keyword '" + string(head(l.token())) + "'"
		}
		p.push(token{kind: kind, flags: flags})
		l.text = l.text[:l.from]
	default:
		return "expecting value"
	}
	return p.completed(l)
}

// text puts a token with a text on the tape.
func (p *parser) text(l *lexer, kind Kind, flags uint8) string {
	if kind == String && l.dirty {
		n, msg := resolve(l.token())
		if msg != "" {
			return msg
		}
		l.text = l.text[:l.from+n]
	}
	p.push(token{uint32(l.from), uint32(len(l.token())), kind, flags})
	return ""
}

// key takes the key of a member.
func (p *parser) key(l *lexer) string {
	top := &p.stack[len(p.stack)-1]
	top.key = uint32(len(p.tape))
	top.keys++
	p.want = wantColon
	return p.text(l, String, 0)
}

func (p *parser) open(kind Kind, want expectation) {
	p.stack = append(p.stack, frame{open: uint32(len(p.tape))})
	p.push(token{kind: kind})
	p.want = want
}

// close ends the innermost array or object.
func (p *parser) close(l *lexer) string {
	top := len(p.stack) - 1
	open := p.stack[top].open
	p.tape[open].n = uint32(len(p.tape)) - open
	p.stack = p.stack[:top]
	return p.completed(l)
}

// completed goes on behind a value. Only now, as in QEMU, is a member refused
// whose key the object already has.
func (p *parser) completed(l *lexer) string {
	if len(p.stack) == 0 {
		p.want = wantValue
		return ""
	}
	top := &p.stack[len(p.stack)-1]
	if p.tape[top.open].kind == Array {
		p.want = wantArrayEnd
		return ""
	}
	p.want = wantObjectEnd
	if p.names.repeated(Value{l.text, p.tape}, *top) {
		return "duplicate key"
	}
	return ""
}

func (p *parser) push(t token) {
	if len(p.tape) == cap(p.tape) {
		grown := make([]token, len(p.tape), max(slabTokens, 2*len(p.tape)))
		copy(grown, p.tape)
		p.tape = grown
	}
	p.tape = append(p.tape, t)
}
