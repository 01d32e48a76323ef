package qapi

// number reads the byte after at least one of a number, for instance
// -12.5e+3. After a leading zero only a point goes on: 01 is a fault, and 0e0
// is a zero followed by other tokens, as in QEMU.
func (l *lexer) number(c byte) lexeme {
	digit := c >= '0' && c <= '9'
	e := c == 'e' || c == 'E'
	switch l.state {
	case inSign:
		switch {
		case c == '0':
			l.state = inZero
		case digit:
			l.state = inDigits
		default:
			return l.stray(c)
		}
	case inZero:
		switch {
		case c == '.':
			l.state = inPoint
		case digit:
			return l.stray(c)
		default:
			return l.endNumber(lexInteger)
		}
	case inDigits:
		switch {
		case digit:
		case c == '.':
			l.state = inPoint
		case e:
			l.state = inE
		default:
			return l.endNumber(lexInteger)
		}
	case inPoint:
		if !digit {
			return l.stray(c)
		}
		l.state = inFraction
	case inFraction:
		switch {
		case digit:
		case e:
			l.state = inE
		default:
			return l.endNumber(lexDouble)
		}
	case inE, inExpSign:
		switch {
		case digit:
			l.state = inExponent
		case l.state == inE && (c == '+' || c == '-'):
			l.state = inExpSign
		default:
			return l.stray(c)
		}
	case inExponent:
		if !digit {
			return l.endNumber(lexDouble)
		}
	}
	return l.keep(c)
}

// endNumber ends a number before the byte that showed its end.
func (l *lexer) endNumber(t lexeme) lexeme {
	l.state = atStart
	return t
}
