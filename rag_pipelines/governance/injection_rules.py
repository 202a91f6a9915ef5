"""Rules that recognise instructions planted in text, as data: a pattern of RE2, and how much a find says.

A weight is how likely the text is an attempt where nothing else is known of it, as judged on texts of which it
is known; several rules add up as independent signs would. Text is lower case when a pattern sees it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

View = Literal["folded", "words", "lines"]
"""What of a text a pattern reads.

`words` is the visible text in one line; `folded` the same with look-alikes as ASCII and with what was encoded in it
decoded behind it; `lines` keeps line ends.
"""


@dataclass(frozen=True, slots=True)
class Rule:
    """A find of `pattern` in the view is a sign of the weight; `name` is the reason that people read."""

    name: str
    weight: float
    pattern: str
    view: View = "folded"


_DROP = (
    r"\b(?:ignor(?:e|ing)|disregard|forget|drop|discard|neglect|bypass|overrid(?:e|ing)|overrule|abandon|erase"
    r"|remove|skip|pay no attention to|do(?: not|n'?t) (?:follow|obey|listen to|look (?:at|in)|use)|stop following)"
)
_ORDERS = (
    r"(?:instructions?|directions?|directives?|guidelines?|prompts?(?: texts?)?|orders?|commands?|assignments?"
    r"|programming|restrictions?|rules|tasks?|constraints|documents provided|safeguards)\b"
)
_EARLIER = r"(?:previous(?:ly)?|prior|preceding|above|earlier|former|past|foregoing|initial|original|system|existing)"
_ASSISTANT = (
    r"(?:ais?|a\.i\.|(?:ai|virtual|digital|helpful) (?:assistant|agent|model)s?|assistants?|chat ?gpt|gpt(?:-?\d)?"
    r"|claude|gemini|copilot|bard|llms?|(?:large )?language models?|chat ?bots?)"
)
_REPLY = r"(?:answer|response|reply|replies|output|message|completion|elucidation)"
_SHAPE = (
    r"(?:add|append|include|insert|integrate|incorporate|embed|modify|change|alter|enhance|augment|replace|convert"
    r"|substitute|render|rewrite|provide|give|write|use|remove|delete|scramble|jumble|rearrange|misspell|introduce"
    r"|combine|group|encode|translate|format|begin|start|end|finish|suggest|mention|promote|recommend|tease|anagram"
    r"|reverse|capitali[sz]e|spell|repeat|limit|phrase|state)"
)
_CODE = (
    r"(?:following|subsequent|below|next) (?:\w+ )?(?:code|script)"
    r"(?: (?:block|snippet|excerpt|section|segment|piece))"
)
_WORK = (
    r"(?:code(?:base)?|solution|implementation|algorithm|response|answer|elucidation|development|project|program"
    r"|application|script|architecture)"
)

RULES: tuple[Rule, ...] = (
    # Orders to drop the orders before.
    Rule("override", 0.9, rf"{_DROP}(?: \w+){{0,4}} {_EARLIER}\b(?: \w+){{0,3}} {_ORDERS}"),
    Rule("override", 0.9, rf"{_DROP}(?: (?:all|any|every|your|about|of|the|my|these|those)){{1,4}} {_ORDERS}"),
    Rule("override", 0.8, rf"{_DROP}(?: about)? (?:everything|all|anything|whatever)(?: \w+)? "
         r"(?:before|above|previous|you|that (?:came|was)|i (?:said|told)|else|and (?:just |only )?(?:say|tell"
         r"|write|print))"),
    Rule("override", 0.6, r"^\W*(?:please )?(?:ignore|disregard|forget) (?:the |all |everything )?(?:above|this"
         r"|previous)\b"),
    Rule("override", 0.7, r"\b(?:not|never) (?:answer|respond|reply)\b.{0,40}\b(?:according to|by|from|using) the "
         r"(?:provided |given )?(?:documents?|articles?|context|passages?)"),
    Rule("new-task", 0.6, r"\b(?:new|following|next|additional|updated|real|actual) (?:instructions?|tasks?|orders?)"
         r"(?: (?:now )?(?:follow|is|are)\b| ?[:\-])"),
    Rule("new-task", 0.5, r"\b(?:your|a) (?:new|next|only|real|actual|main) (?:task|goal|job|instruction|objective"
         r"|mission)\b"),
    Rule("new-task", 0.6, r"\bstart(?:ing)? (?:all )?over (?:again )?with (?:a )?(?:new|another)"),
    Rule("new-task", 0.4, r"\binstead,? (?:please )?(?:output|print|say|write|respond|reply|answer|tell|return)\b"),
    # The same in other languages, in the words that are usual.
    Rule("override-german", 0.9, r"\b(?:ignorier(?:e|en|t)?|vergiss|vergessen|vergesst|missachte|lass|lassen)\b"
         r"(?: \w+){0,5} (?:anweisung\w*|auftr(?:a|ä)g\w*|aufgab\w*|befehl\w*|instruktion\w*|anordnung\w*|prompt\w*"
         r"|vorherig\w* \w+|bisherig\w* \w+|regeln|vorgaben)", "words"),
    Rule("override-german", 0.8, r"\b(?:vergiss|vergessen sie) (?:jetzt |nun )?(?:alles|all das|was|alle)\b",
         "words"),
    Rule("override-german", 0.6, r"\babweichend (?:zu|von) (?:den |allen )?(?:vorherigen|bisherigen|obigen)",
         "words"),
    Rule("override-german", 0.6, r"\b(?:alle |sämtliche )?(?:vorherigen|bisherigen|vorigen) (?:informationen"
         r"|anweisungen|aufgaben|befehle)", "words"),
    Rule("new-task-german", 0.5, r"\b(?:neue|weitere|nächste|folgende)(?:n|r|s)? (?:anweisung|aufgabe|auftrag"
         r"|aufträge|instruktion|herausforderung)\w*", "words"),
    Rule("role-german", 0.5, r"\b(?:du bist|sie sind) (?:jetzt|nun|ab jetzt|ab sofort)\b|\b(?:jetzt|nun) bist du\b"
         r"|\bstell(?:e)? dir vor,? du\b|\bspiele? die rolle\b|\b(?:möchte|will),? dass (?:sie|du) als\b"
         r"|\bversetz\w* dich\b", "words"),
    Rule("reveal-german", 0.7, r"\b(?:zeige?|nenne?|gib|verrate|drucke?|wiederhole?)(?: mir| uns| bitte)?"
         r"(?: \w+){0,4} (?:prompt\w*|systemprompt|anweisung\w*|instruktion\w*)", "words"),
    Rule("override-french", 0.9, r"\b(?:ignore[rz]|ignore (?:les|toutes|tous|ces|vos|tes)|oublie[rz]?|ne (?:tiens"
         r"|tenez) pas compte|négligez?)\b(?: \S+){0,4} "
         r"(?:instructions?|consignes?|ordres?|règles|directives|précédent\w*|avant)", "words"),
    Rule("override-spanish", 0.9, r"\b(?:ignora\w*|olvid\w+|descarta\w*|no (?:sigas|hagas caso))\b(?: \S+){0,4} "
         r"(?:instruccion\w+|órdenes|ordenes|indicaciones|reglas|anterior\w*|todo)", "words"),
    Rule("override-italian", 0.9, r"\b(?:ignora\w*|dimentica\w*|trascura\w*)\b(?: \S+){0,4} (?:istruzion\w+|ordin\w+"
         r"|indicazion\w+|regole|precedent\w+)", "words"),
    Rule("override-portuguese", 0.9, r"\b(?:ignor[ea]\w*|esque[cç]a\w*|desconsider[ea]\w*)\b(?: \S+){0,4} "
         r"(?:instru[cç](?:[oõ]es|[aã]o)|ordens|regras|anterior\w*)", "words"),
    Rule("override-slavic", 0.9, r"\b(?:zaboravi\w*|ignoriraj\w*|zignoruj\w*|zapomni\w*|zanedbej\w*)\b(?: \S+){0,4} "
         r"(?:instru[kc]\w+|upute|polece\w+|pokyn\w*|prethodn\w+|poprzedni\w+|předchozí\w*)", "words"),
    Rule("override-dutch", 0.9, r"\b(?:negeer|vergeet|sla)\b(?: \S+){0,4} (?:instructies?|opdrachten|regels"
         r"|aanwijzingen|vorige|voorgaande)", "words"),
    Rule("override-russian", 0.9, r"(?:игнорируй|проигнорируй|забудь|не обращай внимания)\S*(?: \S+){0,4} "
         r"(?:инструкци|указани|команд|правил|предыдущ)", "words"),
    Rule("override-chinese", 0.9, r"(?:忽略|忘记|无视|不要理会)[^。,,]{0,12}"
         r"(?:指令|指示|提示|说明|规则|内容)", "words"),
    # Another role for the reader.
    Rule("role", 0.8, r"\bi (?:want|would like|need) you to (?:act|behave|pretend|play|respond|answer|become"
         r"|take)\b"),
    Rule("role", 0.6, r"\b(?:you(?: are|'re) now (?:a|an|the|in|going|my|no longer|\w*bot|dan)\b|now you are\b|from"
         r" now on,? (?:you|your|please|only|respond|answer|reply|act))"),
    Rule("role", 0.6, r"\b(?:pretend|imagine|suppose|assume) (?:that )?(?:you are|you're|to be|you were)\b"),
    Rule("role", 0.6, r"\bact as (?:a|an|my) (?:\w+ ){0,2}(?:interpreter|terminal|console|translator|assistant"
         r"|hacker|shell|chatbot|debater|storyteller|pirate)\b"),
    Rule("role", 0.5, r"^\W*(?:please )?act as (?:a|an|if|my|the)\b|[.!?:] (?:please )?act as (?:a|an|if|my) "),
    Rule("role", 0.5, rf"\byou are (?:a |an |the )?(?:\w+ )?(?:{_ASSISTANT}|terminal|interpreter|hacker|monster"
         rf"|expert)\b"),
    Rule("role", 0.4, r"(?:^|[.!?] )you are (?:a |an |the )?[a-z]+\b.{0,60}[?!.]|\bin your (?:new )?role\b"
         r"|\bstay(?:s|ing)? in (?:\w+ )?(?:role|character)"),
    Rule("jailbreak", 0.7, r"\b(?:jailbreak|do anything now|developer mode|god mode|dan mode|no (?:ethical|moral"
         r"|content) "
         r"(?:guidelines|restrictions|filters?)|without any (?:restrictions|filters|censorship)|unfiltered)\b"),
    Rule("chat-markup", 0.8, r"<\|[a-z_ ]{2,30}\|>|\[/?inst\]|<</?sys>>|<(?:start|end)_of_turn>|<\|(?:user"
         r"|system)", "folded"),
    Rule("chat-markup", 0.35, r"(?m)^\W{0,6}(?:system|assistant|human|developer|ai)(?: (?:message|prompt|override"
         r"|note))?\W{0,3}:", "lines"),
    Rule("chat-markup", 0.6, r"\b(?:system|developer|admin(?:istrator)?) (?:message|prompt|override|instruction)s?"
         r" ?[:\]>]"),
    Rule("chat-markup", 0.5, r"(?:human:|user:|assistant:|instructions?:|context:).{0,300}"
         r"(?:human:|user:|assistant:|question:|instructions?:)"),
    # What the reader was told, to be given away; what it knows, to be sent away.
    Rule("reveal", 0.8, r"\b(?:reveal|show|print|output|repeat|tell|display|leak|disclose|expose|summari[sz]e|copy"
         r"|list|give)"
         r"(?: (?:me|us|out))?(?: \w+){0,4} (?:your|the|all|full|of) (?:\w+ ){0,3}(?:system prompts?|initial prompts?"
         r"|prompt(?:s| text| texts)?|hidden (?:instructions|rules)|original (?:instructions|prompt)|previous "
         r"(?:instructions|prompt)|instructions above)\b"),
    Rule("reveal", 0.8, r"\b(?:what|which|where) (?:is|are|was|were|did)(?: \w+){0,3} (?:your|this|the) (?:\w+ )?"
         r"(?:prompt|"
         r"(?:original |initial |system )instructions|instructions)\b|\btell me (?:what )?(?:are )?your (?:\w+ )?"
         r"(?:prompt|instructions)"),
    Rule("reveal", 0.5, r"\bwritten (?:above|at the (?:beginning|top|start))\b|\b(?:above|previous) prompt\b"
         r"|\bprompt above\b|\bfull prompt\b|\bprompt texts?\b"),
    Rule("exfiltrate", 0.7, r"\b(?:send|post|forward|e-?mail|upload|transmit|exfiltrate|leak|submit|append"
         r"|encode)\b.{0,80}\b(?:"
         r"api keys?|passwords?|credentials?|secrets?|conversation|chat history|user(?:'s)? (?:data|input|question"
         r"|name)|personal (?:data|information)|system prompt|confidential)\b.{0,60}(?:https?://|\bto [\w.]+@|\bto "
         r"(?:this|the following) (?:url|address|server|endpoint))"),
    Rule("exfiltrate", 0.8, r"!\[[^\]]{0,200}\]\(\s*https?://[^)\s]*[?&=/](?:[^)\s]*(?:\{|%7b|\[|<|\$)|[^)]*"
         r"(?:conversation|history|secret|summary|password|prompt))"),
    Rule("exfiltrate", 0.25, r"!\[[^\]]{0,200}\]\(\s*https?://[^)\s]+\?[^)\s]*="),
    Rule("exfiltrate", 0.7, r"<img[^>]{0,200}src\s*=\s*[\"']?https?://[^\"'>\s]*[?&][^\"'>\s]*(?:\{|%7b|\[|\$)"),
    # Words to whoever reads by machine.
    Rule("to-assistant", 0.8, rf"\b(?:dear|attention|note (?:to|for)|hey|hello|hi|hallo|ok(?:ay)?|message (?:to"
         rf"|for)|instructions? (?:to|for)|notice to)[,:]? (?:the |any |all )?{_ASSISTANT}\b"),
    Rule("to-assistant", 0.6, rf"\b(?:if you(?: are|'re)|when you are|since you are) (?:a |an )?{_ASSISTANT}\b"),
    Rule("to-assistant", 0.5, rf"\b{_ASSISTANT} (?:\w+ ){{0,3}}(?:must|shall|is (?:instructed|required|told) to|are"
         rf" (?:instructed"
         r"|required|told) to|should (?:always|never|ignore|respond|answer|say|not mention))\b"),
    Rule("to-assistant", 0.7, r"\b(?:do not|don'?t|never|without) (?:tell|telling|inform(?:ing)?|mention(?:ing)?"
         r"|notify(?:ing)?|alert(?:ing)?|reveal(?:ing)?)(?: \w+){0,4} (?:to )?the (?:user|human|reader)s?\b"),
    Rule("to-assistant", 0.5, r"\b(?:when|if|whenever) (?:the )?(?:user|human|someone|anyone) asks?\b.{0,80}\b"
         r"(?:say|answer|respond|reply|tell|recommend|state)\b"),
    Rule("shapes-answer", 0.65, rf"\b{_SHAPE}\b(?:[^.!?]|[.!?]\S){{0,110}}"
         rf"\b(?:your|each|every) (?:\w+ ){{0,2}}{_REPLY}(?:s|'s|s')?\b"),
    Rule("shapes-answer", 0.65, rf"\b(?:in|to|into|at the end of|with) your (?:\w+ )?{_REPLY}s?,? (?:please"
         rf" )?{_SHAPE}\b"),
    Rule("shapes-answer", 0.6, rf"\b(?:{_REPLY}|respond|answer|output|reply|speak|talk)(?: to everything)? only "
         rf"(?:with|in|by|the)\b"
         rf"|\bonly (?:reply|respond|answer|output|say|speak|return)\b|\b(?:just|only) (?:say|print|output|write"
         rf"|answer|tell)\b"),
    Rule("shapes-answer", 0.5, r"\b(?:say|print|output|repeat|write|tell me|respond with|reply with|answer with) "
         r"(?:only |just |that |the (?:word|phrase|sentence) )?[\"'`\x{201c}\x{2018}\x{00ab}\x{201e}]"),
    Rule("shapes-answer", 0.5, r"\brepeat after me\b|\bdo not (?:explain|write explanations)\b|\bmake something"
         r" up\b|\banswer in the style of\b|\bantworte? im stil\b|\bim stile? (?:eines|einer|von)\b"),
    Rule("shapes-answer", 0.5, r"\b(?:execute|run) (?:the )?following command\b.{0,10}(?:print|echo|:)"),
    Rule("shapes-code", 0.7, rf"{_CODE}.{{0,70}}\b(?:your|the|a|an) (?:\w+ ){{0,4}}{_WORK}\b"),
    Rule("shapes-code", 0.7, rf"\b(?:your|the) (?:\w+ ){{0,3}}{_WORK}\b.{{0,70}}\b{_CODE}"),
    Rule("shapes-code", 0.5, rf"\b(?:ensure|don'?t (?:hesitate|forget)|consider|keep in mind|leverage|utili[sz]e"
         rf"|employ|adopt|embed|fuse"
         rf"|weave|blend|merge|meld|infuse|absorb|inject|enlist|deploy|incorporate|integrate)\b.{{0,60}}{_CODE}"),
    # A task set in the middle of a text.
    Rule("task", 0.35, r"(?:^|[.!?:\"'] |\| )(?:please |now |then |can you |could you )?(?:write|compose|draft"
         r"|generate|create|develop"
         r"|tell|provide|give|make)(?: me| us)? (?:a|an|the|some|your) (?:\w+ ){0,4}(?:poem|story|essay|song|letter"
         r"|speech|joke"
         r"|manifesto|argument|plea|introduction|blog|tweet|report|rap|limerick|paragraph|article|review|plan"
         r"|list)\b"),
    Rule("task", 0.35, r"\b(?:schreibe?|verfasse?|formuliere?|erstelle?|generiere?n?)(?: sie)?(?: \S+){0,4} "
         r"(?:gedicht|aufsatz|text|begründung"
         r"|manifest|plädoyer|artikel|geschichte|rede|überschrift|lied|witz|code|brief)\b", "words"),
    Rule("task", 0.4, r"\b(?:answer|beantworte?|respond to|help (?:me )?with)(?: \w+)? (?:the following|this|my|die"
         r" folgende|folgende) (?:question|task|frage|aufgabe)", "words"),
    Rule("task", 0.35, r"\btranslate (?:the following|this|that|everything|it)\b|\b(?:explain|describe|break down"
         r"|summari[sz]e) (?:the |how |what )[^.!?]{3,60}(?:in simple terms|step by step|with an example)"),
    Rule("task", 0.25, r"(?:^|[.!?] )(?:explain|describe|tell me|show me|give me|list|name|break down|translate) "
         r"(?:the|how|what|why|a|an)\b[^.!?]{3,80}[.!?]?$"),
    Rule("task", 0.25, r"(?:[.!?|] )(?:what|who|how|why|which|when|can you|could you)(?:'s| is| are| was| were| do|"
         r" does| did| wrote| show)?\b[^.!?|]{3,90}\?\W*$"),
    # What code does that nobody asked for.
    Rule("code-sends", 0.5, r"(?:requests|httpx|urllib|http\.client|socket|ftplib|smtplib|paramiko|aiohttp|mqtt"
         r"|curl).{0,600}(?:os\.environ"
         r"|cookie|virtual_memory|net_if_addrs|disk_partitions|driverquery|/path/to/trash|password|contacts|/etc/"
         r"(?:passwd|shadow))"),
    Rule("code-sends", 0.5, r"(?:os\.environ|cookie|virtual_memory|net_if_addrs|disk_partitions|driverquery"
         r"|find_all|query_devices).{0,400}"
         r"(?:requests\.(?:post|get|put)|httpx\.|\.sendall|smtplib|ftp\.|publish\.single|urlopen)"),
    Rule("code-destroys", 0.6, r"rm -rf? (?:/|~)|of=/dev/[a-z]|os\.remove\([\"']/|chmod \+x /etc|mkfs\."
         r"|shutil\.rmtree\([\"']/|systemctl stop"),
    Rule("code-fetches", 0.5, r"(?:curl|wget|urlretrieve|urlopen|download)\b.{0,300}(?:exec\(|\| ?(?:ba)?sh\b|chmod"
         r" \+x|subprocess|os\.system|popen)"),
    Rule("code-fetches", 0.4, r"exec\(open\(|crypto ?min(?:e|er|ing)|miner\b.{0,60}https?://"),
    Rule("urgent", 0.15, r"\b(?:attention|achtung|stopp?|urgent(?:ly)?|wichtig) ?(?:!|-|:|,)", "words"),
    Rule("praise", 0.25, r"^\W*(?:well done|great|congratulations|wow|excellent|very good|perfect|sehr gut|gut"
         r" gemacht|super|einfach großartig|ausgezeichnet\w*|hallo gpt|mann, du)\b", "words"),
)  # fmt: skip
"""Every built-in rule. The same name more than once: several ways to say one thing, of which the strongest counts."""
