r"""Answers made to hang, crash, flood or take over a grader.

``inputs()`` gives (kind, answer) pairs. Each answer is put in a box as it stands; none of them
equals 41, so none may be paid when the gold is 41.
"""

from __future__ import annotations

LONG = 10**5
DEEP = 3000


def inputs() -> list[tuple[str, str]]:
    return [(kind, text) for kind, texts in KINDS.items() for text in texts]


def _nested(left: str, right: str, inside: str = "41+1", times: int = DEEP) -> str:
    return left * times + inside + right * times


def _grid(rows: list[list[str]], kind: str = "pmatrix") -> str:
    return rf"\begin{{{kind}}}" + r"\\".join(map("&".join, rows)) + rf"\end{{{kind}}}"


POWERS = [
    "8^{8^{8^{8}}}", "8^8^8^8", "5^(5^(5^5))", "9**9**9**9", "9^{9^{9^{9^{9}}}}",
    r"\dfrac{5^{(5^{(5^{(5^5)})}-4)}-5}{16}", "10^{10^{10}}", "10^{10^{10^{10^{10}}}}",
    "2^{" * 200 + "2" + "}" * 200, "(((9^9)^9)^9)^{99}", "x^{1000000}", "x^{10^{10}}",
    "(x+1)^{5000}", "(x+y+z+w)^{300}", "(1+x)^{10^6}-(1+x)^{10^6}", r"2^{1000!}",
    r"(2^{2^{20}})^{2^{20}}", "-8^{8^{8^8}}", r"\frac{1}{8^{8^{8^8}}}", "8^{-8^{8^8}}",
    "(-1)^{10^{10^{10}}}", "0.5^{10^{10}}", r"\sqrt{8^{8^{8^8}}}", r"\sqrt[10^{10}]{2}",
    r"1.0000001^{10^{12}}", r"i^{10^{10^{10}}}", r"\left(\frac{3}{2}\right)^{10^9}",
    r"7^{7^{7^{7}}} \mod 41", "2^{31415926535897932384626}", r"\exp(\exp(\exp(\exp(10))))",
    "e^{e^{e^{e^{e^{10}}}}}", r"{}^{10}10", r"10\uparrow\uparrow\uparrow 10",
    "(a^b)^{(c^d)^{e^f}}" * 20,
]
NUMBERS = [
    "1e999999", "1e999999999999", "1e-999999999", "-1e999999", "0e999999999", "1E+99999999",
    r"1\times10^{999999999}", r"1\cdot 10^{10^{10}}", "1e1e1e1", "9" * LONG, "0." + "3" * LONG,
    "-" * LONG + "42", "+" * 5001 + "42", "1" + ",000" * 20000, r"1" + r"{,}000" * 10000,
    "0" * LONG, "1/" * 5000 + "1", "." * LONG, "1." * 20000,
    r"0.\overline{" + "142857" * 5000 + "}", "1_" * 20000 + "1", "9" * 5000 + "_{36}",
    "FF" * 5000 + "_{16}", "1:" * 10000 + "1", "41e400", "0x" + "f" * 10000, "0b" + "1" * 10000,
    "nan", "inf", "-inf", "1e400", "Infinity", "NaN" * 1000,
]
COUNTING = [
    "(10^9)!", "(10^{10})!", "100000!", "9!!!!!", "9!!!!!!!!!!!!!!!!", "((((9!)!)!)!)!", "10^9!",
    r"\frac{(10^9)!}{(10^9-1)!}", r"\binom{10^9}{5\cdot10^8}", r"\binom{1000000000}{500000000}",
    r"{10^9 \choose 10^8}", "!" * LONG, "x" + "!" * 5000, "(10^6)!" * 100, r"(-10^9)!", "(0.5)!!!!",
    r"\Gamma(10^{10})", r"\prod_{n=1}^{10^{12}} n", r"\sum_{n=1}^{10^{12}} n^{10}",
    r"\sum_{n=1}^{\infty}\frac{1}{n^{n^n}}", r"\sum_{i=1}^{10^5}\sum_{j=1}^{10^5}\frac{1}{ij+1}",
    r"\prod_{k=1}^{100000}(x+k)", r"\int_0^{10^{10}} e^{-x^2}\sin(x^{x})\,dx",
    r"\int\int\int\int e^{x y z w}\,dx\,dy\,dz\,dw", r"\int_0^\infty\frac{\sin^{100}x}{x^{50}}\,dx",
    r"\lim_{x\to0}\frac{\sin^{50}(x)-x^{50}}{x^{52}}",
    r"\lim_{n\to\infty}\left(1+\frac{1}{n}\right)^{n^n}",
    r"\frac{d^{100}}{dx^{100}} e^{\sin(\cos x)}", r"\gcd(10^{10^{10}}, 3^{10^9})",
    r"\operatorname{lcm}(1,2,3,4,5,6,7,8,9,10^{10^9})", r"10^{10^9} \bmod 7",
    r"\lfloor 10^{10^{10}}\pi\rfloor",
]
FUNCTIONS = [
    r"\sin(10^{10^{10}})", r"\cos(8^{8^{8^8}})", r"\tan(\tan(\tan(\tan(10^{50}))))",
    r"\log_2(10^{10^{10}})", r"\sin(" * 500 + "x" + ")" * 500, r"\log(" * 1000 + "2" + ")" * 1000,
    r"\ln " * 3000 + "2", r"\sqrt{" * DEEP + "2" + "}" * DEEP, r"\sqrt{2+" * 100 + "x" + "}" * 100,
    r"\sqrt[3]{" * 500 + "2" + "}" * 500, "+".join(rf"\sqrt{{{n}}}" for n in range(2, 200)),
    r"\prod".join("abc" * 100), "+".join(rf"\sin({n}x)\cos({n}y)" for n in range(1, 150)),
    r"\frac{" * DEEP + "1" + "}{2}" * DEEP, r"\frac1" * 5000 + "2",
    r"1+\cfrac{1}{" * 1000 + "2" + "}" * 1000, r"\cos\frac{\pi}{65537}", r"\sin\frac{\pi}{999983}",
    r"\sqrt[1000]{" + "9" * 399 + "}", r"\arcsin(\arcsin(\arcsin(\arcsin(100))))", r"\log_{1}5",
    r"\log_0 0", r"0^{0^{0^0}}", r"\frac{0}{0}", r"\infty-\infty", r"0\cdot\infty",
    r"\frac{\infty}{\infty}", r"1^\infty", r"\sqrt{-\infty}", r"|" * 3001,
]
NESTING = [
    _nested("(", ")"), _nested("[", "]"), _nested("{", "}"), _nested(r"\{", r"\}"),
    _nested(r"\left(", r"\right)"), _nested(r"\left\{", r"\right\}"),
    _nested(r"\lfloor ", r"\rfloor "), _nested(r"\text{", "}"), _nested(r"\mathbf{", "}"),
    _nested(r"\boxed{", "}", "41+1"), _nested(r"\overline{", "}"), _nested(r"x^{", "}"),
    _nested(r"x_{", "}"), _nested("|", "|"), _nested("-(", ")"), _nested("f(", ")"),
    _nested("2(", ")"), _nested("(1+", ")"), _nested("1,(", ")"), "(" * DEEP, ")" * DEEP,
    "(" * LONG, "[" * DEEP + ")" * DEEP, "([" * DEEP + "])" * DEEP, "()" * 5000, r"\left(" * DEEP,
    r"\right)" * DEEP, "{}" * 50000, r"\begin{pmatrix}" * 500 + "1" + r"\end{pmatrix}" * 500,
    r"\begin{cases}" * 1000, r"\underbrace{" * 1000 + "1" + "}_{x}" * 1000,
]
LISTS = [
    _grid([["1"] * 200] * 200), _grid([[f"x_{{{i}}}"] * 30 for i in range(30)]) + "^{50}",
    _grid([[f"{i * j + 1}" for i in range(40)] for j in range(40)], "vmatrix"),
    r"\begin{pmatrix}1&1\\1&0\end{pmatrix}^{10^{10}}", r"\begin{pmatrix}1&2\\3\end{pmatrix}",
    "&" * 5000, r"\cup".join(f"({n},{n + 1})" for n in range(5000)),
    r"\cap".join(f"[-{n},{n + 1}]" for n in range(3000)),
    r"\{" + ",".join(map(str, range(20000))) + r"\}", ",".join(["1"] * 50000), "," * LONG,
    "1," * 30000, "=".join(["x"] * 10000), "=" * LONG, "=".join(map(str, range(5000))),
    "<".join(["x"] * 5000), "<" * 10000, "1<" * 5000 + "x", r"\pm" * 20 + "1", r"\pm1" * 30,
    "(" + r"\pm 1," * 40 + r"\pm 1)", r"\pm" * 20000, ";".join(f"x_{n}={n}" for n in range(3000)),
    "+".join(["x"] * 20000), "+".join(f"x^{{{n}}}" for n in range(2000)),
    "*".join(f"(x+{n})" for n in range(300)), "xyzabcdefgh" * 5000, "x" * LONG, "(x+1)" * 2000,
    r"\text{or}".join(f"x<{n}" for n in range(2000)), r" \text{ and } ".join(["41"] * 5000),
    r"\{" + ",".join(rf"\{{{n},{n + 1}\}}" for n in range(2000)) + r"\}", "41, " * 3000 + "42",
    r"\setminus".join([r"\mathbb{R}"] + [rf"\{{{n}\}}" for n in range(500)]),
    r"1,2,\ldots,10^{10^{10}}",
]
CHARACTERS = [
    "42\x00" * 1000, "\x00" * LONG, "42\x00; rm -rf /", "\u202e24\u202c", "\u202e" * 50000,
    "\u200b" * 50000 + "42", "4\u200b\u200d\u20602", "\ud800", "42\ud800\udfff", "\udcff" * 1000,
    "\ufeff42", "\ufffe\uffff", "\U0010ffff" * 1000, "e\u0301" * 10000, "a" + "\u0300" * 50000,
    "\ufdfa" * 10000, "½" * 10000, "²" * 20000, "4²²²²²²²²²²²", "x₁₂₃₄₅₆₇₈₉", "٤٢", "४२", "𝟜𝟚",
    "①②", "Ⅻ", "四十二", "４２" * 10000, "٪" * 1000, "х²+у", "Ａ" * 10000, "𝓍" * 5000,
    "∑∏∫√" * 2000,
    "√" * 10000 + "2", "🎉" * 10000, "\x1b[31m42\x1b[0m", "\x07" * 100, "\r\n" * 20000, "\t" * LONG,
    " " * LONG, "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029", "−" * 20001 + "4", "÷" * 10000, "°" * 10000,
    "＼boxed｛42｝", "\uff5b" * 3000,
]
PAYLOADS = [
    "__import__('os').system('touch RAN')", "__import__('os').popen('touch RAN').read()",
    "open('RAN','w').write('x')", "exec(\"open('RAN','w')\")", "eval(\"open('RAN','w')\")",
    "(lambda: open('RAN','w'))()", "os.system('touch RAN')", "[open('RAN','w') for _ in [1]]",
    "().__class__.__bases__[0].__subclasses__()", "''.__class__.__mro__[1]",
    "sympify(\"open('RAN','w')\")", "{0.__class__.__init__.__globals__}", "f\"{open('RAN','w')}\"",
    "{0}{1}{2}", "{" + "0" * 5000 + "}", "%s%s%s%s%n", "%(x)s", "%" * 5000, "{:>" + "9" * 20 + "}",
    "%99999999999d", "{{}}{}{{", "${jndi:ldap://localhost/a}", "$(touch RAN)", "`touch RAN`",
    "; touch RAN", "| touch RAN", "&& touch RAN", "\n touch RAN \n", "'; DROP TABLE grades; --",
    "<script>alert(1)</script>", "import os; os.remove('RAN')", "globals()['__builtins__']",
    "breakpoint()", "exit()", "quit()", "raise SystemExit", "while True: pass", "x.__class__",
    "x.subs", "Symbol('x').__class__", "Integer(41)+1", "S.One.__init__", "lambda x: x",
    "print(41)", "input()", "\\x5f\\x5fimport\\x5f\\x5f('os')", "getattr(x,'__class__')",
    "compile('1','RAN','exec')", "pickle.loads(b'cos\\nsystem\\n(S\"touch RAN\"\\ntR.')",
    "@import url(x)", "{\"reward\": 1}", "[\"ok\", 1.0]",
    "null\n{\"status\":\"ok\",\"value\":{\"equal\":true,\"status\":\"ok\"}}", "\"}\n",
]
PATTERNS = [
    "a" * 30000 + "!", "(" + "a+" * 2000 + ")+$", "((a+)+)+" + "a" * 5000 + "!",
    "(x+x+)+y" + "x" * 5000, " " * 20000 + "x", "1 " * 30000, "1, " * 20000 + "x", "\\" * LONG,
    "\\" * 99999 + "{", "$" * LONG, "$ " * 20000, "\\text" * 10000, "\\text{" * 5000,
    "\\frac" * 10000, "\\frac{1}" * 5000, "\\frac{1}{" * 5000, "\\sqrt" * 10000, "^" * 50000,
    "_" * 50000, "^{" * 5000, "^{1}" * 5000, "_{1}" * 5000, "'" * 50000, "a-" * 20000,
    "and " * 20000, "or" * 20000, "infinity" * 5000, "percent" * 5000, r"\%" * 20000,
    r"^\circ" * 10000, r"\, " * 20000, r"\\ " * 20000, "**" * 20000, "__" * 20000, "`" * 50000,
    "(A) " * 10000, "A) " * 10000, "A, " * 10000, "\\mathrm{" + "a" * 50000, "0." * 20000,
    r"\left" * 10000, r"\end{pmatrix}" * 3000, "{,}" * 20000, "1{,}" * 10000, "-" * 50000,
    "- " * 20000, "#### 41\n" * 5000, "answer is " * 5000,
]
MACROS = [
    r"\def\x{\x\x}\x", r"\newcommand{\x}[1]{#1#1#1}\x{\x{\x{42}}}", r"\input{/etc/passwd}",
    r"\include{RAN}", r"\write18{touch RAN}", r"\immediate\write18{touch RAN}",
    r"\openout1=RAN \write1{x}", r"\verb|42|", r"\csname x\endcsname", r"\loop\iftrue\repeat",
    r"\catcode`\{=12", r"\let\boxed=\fbox \boxed{42}", r"\usepackage{shellesc}",
    r"\directlua{os.execute('touch RAN')}", r"\expandafter" * 5000, r"\href{javascript:x}{42}",
    r"\url{file:///etc/passwd}", r"\includegraphics{/dev/zero}",
    r"\begin{verbatim}42\end{verbatim}", r"\fontsize{99999999}{1}42", r"\hspace{99999999pt}42",
    r"\rule{10^9pt}{10^9pt}", r"\unknowncommand{42}", r"\color{red" * 2000, r"\phantom{41}",
    r"\require{cancel}\cancel{41}", r"\tag{41}", r"\label{41}\ref{41}",
]

KINDS = {
    "powers": POWERS, "numbers": NUMBERS, "counting": COUNTING, "functions": FUNCTIONS,
    "nesting": NESTING, "lists": LISTS, "characters": CHARACTERS, "payloads": PAYLOADS,
    "patterns": PATTERNS, "macros": MACROS,
}
