# Prints the length in lines, the file and the first line of every function with a body, tests left out.
# Relies on rustfmt: a body ends at the closing brace that stands as deep as its `fn`.
FNR == 1 { open = 0; tests = 0 }
/^#\[cfg\(test\)\]/ { tests = 1 }
tests { next }
open && substr($0, 1, indent) == pad && substr($0, indent + 1, 1) == "}" {
    print FNR - start + 1, FILENAME ":" start
    open = 0
    next
}
# A trait's declaration without a body ends with its signature.
open && !body && /;$/ && substr($0, 1, indent) == pad && substr($0, indent + 1, 1) == ")" { open = 0; next }
open && /\{$/ { body = 1 }
!open && /^[ ]*(pub(\([a-z: ]*\))? )?((const|async|unsafe|extern "C") )*fn [a-z_]/ {
    if (/;$/) next
    if (/\}$/) { print 1, FILENAME ":" FNR; next }
    match($0, /^ */)
    indent = RLENGTH
    pad = substr($0, 1, indent)
    start = FNR
    open = 1
    body = /\{$/
}
