"""Function words that carry no topic, by analyzer language; single letters are what elision leaves over."""

from __future__ import annotations

_WORDS: dict[str, str] = {
    "english": (
        "a an the this that these those and or but nor so if then than as at by for from in into of off on onto out "
        "over to under up with without about between through during before after is am are was were be been being "
        "do does did doing have has had having will would shall should can could may might must i you he she it we "
        "they me him her us them my your his its our their mine yours hers ours theirs who whom whose which what "
        "when where why how there here not no only also very too just such same own each any some all both more most "
        "other s t ll re ve d m don doesn didn isn aren wasn weren won couldn shouldn wouldn hasn haven hadn"
    ),
    "german": (
        "der die das den dem des ein eine einer eines einem einen und oder aber denn sondern wenn als ob dass daß wie "
        "so in im an am auf aus bei beim bis durch für gegen mit nach ohne seit über um unter von vom vor zu zum zur "
        "zwischen ist sind war waren bin bist sei sein wird werden wurde wurden worden hat haben hatte hatten habe "
        "kann können konnte muss müssen soll sollen will wollen darf ich du er sie es wir ihr mich mir dich dir ihn "
        "ihm uns euch ihnen sich mein dein seine seiner ihre ihrer ihrem ihren unser euer wer wen wem was wo wann "
        "warum welche welcher welches welchen dieser diese dieses diesem diesen jener jene kein keine keinen nicht "
        "auch nur noch schon da hier dort man sehr mehr alle alles andere doch damit dann"
    ),
    "spanish": (
        "el la los las lo un una unos unas y e o u pero ni si que como cuando donde a al ante bajo con contra de del "
        "desde durante en entre hacia hasta para por según sin sobre tras es son era eran fue fueron ser sido siendo "
        "está están estaba estaban estar ha han había habían haber he hay tiene tienen tenía yo tú él ella ello "
        "nosotros ellos ellas me te se nos os le les mi mis tu tus su sus nuestro nuestra este esta esto estos estas "
        "ese esa eso esos esas aquel aquella qué quién quiénes cuál cuáles cuándo dónde cómo cuánto cuántos no sí ya "
        "muy más menos también sólo solo otro otra otros otras todo toda todos todas cada porque"
    ),
    "french": (
        "le la les l un une des du de d et ou mais ni si que qu qui quoi dont où comme quand à au aux avec chez contre "
        "dans depuis en entre par pendant pour sans sous sur vers est sont était étaient être été étant suis es a ont "
        "avait avaient avoir eu ai as je j tu il elle on nous vous ils elles me m te t se s lui leur leurs y mon ma "
        "mes ton ta tes son sa ses notre nos votre vos ce c cet cette ces ça cela celui celle ceux quel quelle quels "
        "quelles ne n pas plus non oui très aussi même tout tous toute toutes autre autres"
    ),
    "italian": (
        "il lo la i gli le l un uno una e ed o ma né se che chi cui come quando dove a ad al allo alla ai agli alle "
        "all con contro da dal dallo dalla dai dagli dalle dall di d del dello della dei degli delle dell in nel nello "
        "nella nei negli nelle nell per su sul sullo sulla sui sugli sulle sull tra fra è sono era erano essere stato "
        "stata stati state ha hanno aveva avevano avere ho io tu lui lei noi voi loro mi ti si ci vi ne mio mia tuo "
        "suo sua suoi sue nostro vostro questo questa questi queste quello quella quelli quelle quale quali quanto "
        "perché non più anche solo molto già tutto tutti altro altri c s"
    ),
    "dutch": (
        "de het een en of maar want als dat dan om te aan bij door in met na naar op over sinds tegen tot uit van "
        "voor zonder onder tussen is zijn was waren ben bent wordt worden werd werden geworden geweest heeft hebben "
        "had hadden heb kan kunnen kon moet moeten zal zullen zou zouden wil mag ik jij je u hij zij ze wij we jullie "
        "mij me jou hem haar ons hun hen zich mijn jouw onze dit deze die wie wat waar wanneer waarom welke welk hoe "
        "er hier daar niet geen ook nog wel al zo zeer meer alle alles ander andere iets niets men"
    ),
    "portuguese": (
        "o a os as um uma uns umas e ou mas nem se que como quando onde à ao aos às com contra de do da dos das desde "
        "durante em no na nos nas entre até para por pelo pela pelos pelas sem sob sobre é são era eram foi foram ser "
        "sido sendo está estão estava estavam estar há tem têm tinha tinham ter haver eu tu ele ela nós vós eles elas "
        "você vocês me te lhe lhes meu minha seu sua seus suas nosso nossa este esta isto estes estas esse essa isso "
        "esses essas aquele aquela quem qual quais quanto não sim já mais menos muito também só outro outra outros "
        "outras todo toda todos todas cada porque"
    ),
    "none": "",
}


def stop_words(analyzer: str) -> frozenset[str]:
    """In lower case; empty for `none`."""
    return frozenset(_WORDS[analyzer].split())
