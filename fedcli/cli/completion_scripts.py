"""What `--install-completion` and `--show-completion` give to bash and zsh.

Typer's own scripts put a space after every completion, which parts `dataset=` from its value. These do not.
They are filled in by Typer: `%` is doubled.
"""

from __future__ import annotations

from contextlib import suppress

BASH = """
%(complete_func)s() {
    local IFS=$'\\n'
    COMPREPLY=( $( env COMP_WORDS="${COMP_WORDS[*]}" \\
                   COMP_CWORD=$COMP_CWORD \\
                   %(autocomplete_var)s=complete_bash $1 2>/dev/null ) )
    # What ends in = or . goes on: no space after it.
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[=.] ]]; then
        compopt -o nospace 2>/dev/null
    fi
    return 0
}

complete -o default -F %(complete_func)s %(prog_name)s
"""

# Typer's protocol for fish is the plain one: a line each, value and help separated by a tab.
ZSH = """
#compdef %(prog_name)s

%(complete_func)s() {
    local line value described
    local -a ended open
    for line in "${(@f)$(env _TYPER_COMPLETE_ARGS="${words[1,$CURRENT]}" _TYPER_COMPLETE_FISH_ACTION=get-args \\
                         %(autocomplete_var)s=complete_fish ${(Q)words[1]} 2>/dev/null)}"; do
        [[ -n $line ]] || continue
        value=${line%%%%$'\\t'*}
        described=${value//:/\\\\:}
        [[ $line == *$'\\t'* ]] && described+=:${line#*$'\\t'}
        # What ends in = or . goes on: no space after it.
        if [[ $value == *[=.] ]]; then open+=("$described"); else ended+=("$described"); fi
    done
    if (( ! $#open && ! $#ended )); then
        compset -P '*='
        _files
        return
    fi
    (( $#ended )) && _describe 'fedcli' ended
    (( $#open )) && _describe 'config key' open -S ''
}

compdef %(complete_func)s %(prog_name)s
# Loaded from a folder in fpath, this file is the function that is asked, once.
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    %(complete_func)s "$@"
fi
"""


def use_own_scripts() -> None:
    """Has Typer install these scripts.

    Typer has no public way to do so. Should a later version keep its scripts elsewhere, its own are installed:
    completion then works too, but for the spaces.
    """
    with suppress(ImportError, AttributeError, TypeError):
        from typer import _completion_shared

        _completion_shared._completion_scripts.update(bash=BASH, zsh=ZSH)
