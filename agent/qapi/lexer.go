package qapi

// A lexeme is what the lexer tells the parser. The brackets and separators
// are their own characters.
type lexeme byte

const (
	lexMore lexeme = iota // the input ran out
	lexString
	lexInteger
	lexDouble
	lexKeyword
	lexStray // a byte that no token allows there
	lexLong  // one token is larger than a whole value may be
)

// A lexState says what the next byte belongs to. Within a number it is named
// after what was read last.
type lexState byte

const (
	atStart lexState = iota
	inJunk           // after a stray byte, until one that may start afresh
	inString
	inEscape // in a string, after a backslash
	inKeyword
	inSign
	inZero // a leading zero
	inDigits
	inPoint
	inFraction
	inE
	inExpSign
	inExponent
)

// A lexer cuts a byte stream into JSON tokens. It keeps the text of strings
// (without the quotes), numbers and keywords, and nothing else.
type lexer struct {
	in     []byte // what was read last
	at     int    // the next byte in it
	passed int    // bytes read before in

	line      int // of the next byte, from 1
	lineStart int // the offset in the stream of that line's first byte
	place     place

	state lexState
	quote byte
	dirty bool   // the string so far has escapes or bytes above 0x7F
	size  int    // bytes of the token so far, kept or not
	text  []byte // tokens of the value so far, this one last
	from  int    // where in text the token starts
	limit int    // bytes a value may have
	usual int    // bytes that the last large value had
}

// A place is where in the stream a token starts, both counted from 1.
type place struct{ line, column int }

// next reads to the end of the next token. With lexMore everything was read,
// and the token goes on in the next input.
func (l *lexer) next() lexeme {
	for l.at < len(l.in) {
		c := l.in[l.at]
		var t lexeme
		switch l.state {
		case atStart:
			t = l.start(c)
		case inJunk:
			if refreshing(c) {
				l.state = atStart
			} else {
				l.at++
			}
		case inString:
			t = l.inside()
		case inEscape:
			if c < 0x20 || c >= 0xFE {
				return l.stray(c)
			}
			l.state = inString
			t = l.keep(c)
		case inKeyword:
			if c < 'a' || c > 'z' {
				l.state = atStart
				return lexKeyword
			}
			t = l.keep(c)
		default:
			t = l.number(c)
		}
		if t != lexMore {
			return t
		}
	}
	return lexMore
}

// start reads a byte between tokens.
func (l *lexer) start(c byte) lexeme {
	switch c {
	case '\n':
		l.at++
		l.newline()
		return lexMore
	case ' ', '\t', '\r':
		l.at++
		return lexMore
	}
	l.begin()
	switch {
	case c == '{' || c == '}' || c == '[' || c == ']' || c == ':' || c == ',':
		l.at++
		l.size = 1
		return lexeme(c)
	case c == '"' || c == '\'':
		l.at++
		l.size = 1
		l.quote = c
		l.state = inString
		return lexMore
	case c == '-':
		l.state = inSign
	case c == '0':
		l.state = inZero
	case c >= '1' && c <= '9':
		l.state = inDigits
	case c >= 'a' && c <= 'z':
		l.state = inKeyword
	default:
		return l.stray(c)
	}
	return l.keep(c)
}

func (l *lexer) begin() {
	l.place = place{l.line, l.passed + l.at - l.lineStart + 1}
	l.from = len(l.text)
	l.size = 0
	l.dirty = false
	l.quote = 0
}

// inside reads a run of bytes within a string, and what ends the run.
func (l *lexer) inside() lexeme {
	run := l.in[l.at:]
	// A token may be one byte larger than the limit, which says that it is
	// too large, whether its bytes come one by one or all at once.
	if room := l.limit + 1 - l.size; len(run) > room {
		run = run[:room]
	}
	n, high := plain(run, l.quote)
	l.dirty = l.dirty || high
	if n > 0 {
		return l.keep(run[:n]...)
	}
	switch c := run[0]; c {
	case l.quote:
		l.at++
		l.size++
		l.state = atStart
		return lexString
	case '\\':
		l.dirty = true
		l.state = inEscape
		return l.keep(c)
	default:
		return l.stray(c)
	}
}

// keep takes bytes into the token. Beyond what a value may have they are
// counted only: the parser will refuse the token when it is complete.
func (l *lexer) keep(b ...byte) lexeme {
	l.at += len(b)
	l.size += len(b)
	if len(l.text)+len(b) <= l.limit {
		l.text = l.extend(b)
	}
	if l.size > l.limit {
		l.state = atStart
		return lexLong
	}
	return lexMore
}

// stray ends the token at the byte c, which belongs to the fault.
func (l *lexer) stray(c byte) lexeme {
	l.keep(c)
	if c == '\n' {
		l.newline()
	}
	l.state = inJunk
	return lexStray
}

func (l *lexer) newline() {
	l.line++
	l.lineStart = l.passed + l.at
}

// token returns the text of the current token.
func (l *lexer) token() []byte { return l.text[l.from:] }

// refreshing reports whether c ends the junk after a stray byte.
func refreshing(c byte) bool {
	switch c {
	case '[', ']', '{', '}', ':', ',':
		return true
	}
	return c < 0x20 && c != '\t' || c >= 0xFE
}

// extend appends b to the text. Small values share a slab; a large one has
// its own array that doubles up to the limit, or takes the size of the last
// large value once it is a fair part of that: files come in equal pieces.
func (l *lexer) extend(b []byte) []byte {
	need := len(l.text) + len(b)
	if need <= cap(l.text) {
		return append(l.text, b...)
	}
	size := max(need, min(2*need, l.limit), slabBytes)
	if need <= l.usual && need > l.usual/16 {
		size = l.usual
	}
	return append(append(make([]byte, 0, size), l.text...), b...)
}
