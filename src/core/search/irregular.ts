/** Forms that no stemmer leads back to their word: verbs, plurals, and the short names of one's parents. */
const forms = `
be am is are was were been being; have has had having; do does did done doing; go goes went gone going gonna;
get got gotten getting; make made making; take took taken taking; come came coming; see saw seen; know knew known;
think thought; give gave given giving; find found; tell told; become became; leave left leaving; feel felt;
put putting; bring brought; begin began begun beginning; keep kept; hold held; write wrote written writing;
stand stood; hear heard; let letting; mean meant; set setting; meet met meeting; run ran running; pay paid;
sit sat sitting; speak spoke spoken; lead led; grow grew grown; lose lost losing; fall fell fallen; send sent;
build built; understand understood; draw drew drawn; break broke broken; spend spent; cut cutting;
rise rose risen; drive drove driven driving; buy bought; wear wore worn; choose chose chosen choosing;
eat ate eaten; drink drank drunk; sing sang sung; swim swam swum swimming; fly flew flown;
forget forgot forgotten; win won winning; teach taught; catch caught; fight fought; sell sold; sleep slept;
throw threw thrown; ride rode ridden riding; hide hid hidden; shake shook shaken; steal stole stolen;
wake woke woken waking; blow blew blown; freeze froze frozen; bite bit bitten; hang hung; hit hitting;
lay laid; lie lain lying; lend lent; light lit; shoot shot; shine shone; show shown; sink sank sunk;
stick stuck; strike struck; swear swore sworn; sweep swept; tear tore torn; dig dug digging; feed fed; bend bent;
bind bound; bleed bled; breed bred; burn burnt; deal dealt; dream dreamt; kneel knelt; leap leapt; learn learnt;
seek sought; spin spun; spring sprang sprung; stink stank; weep wept; wind wound;
beat beaten; forgive forgave forgiven; overcome overcame; undergo underwent undergone; withdraw withdrew withdrawn;
child children; man men; woman women; person people; foot feet; tooth teeth; mouse mice; goose geese;
wife wives; knife knives; shelf shelves; wolf wolves; half halves; loaf loaves;
thief thieves; index indices; matrix matrices; vertex vertices; criterion criteria; phenomenon phenomena;
good better best; bad worse worst; mom mother mum mama mommy; dad father daddy; kid kids; grandma grandmother;
grandpa grandfather; fridge refrigerator; photo photograph pic picture; bike bicycle; tv television;
ad advertisement; exam examination; config configuration; repo repository; db database
`;

/** An irregular form → the word it is a form of. */
export const irregular: ReadonlyMap<string, string> = new Map(
  forms.split(';').flatMap((line) => {
    const [word, ...others] = line.trim().split(/\s+/);
    return others.map((form) => [form, word!] as const);
  }),
);
