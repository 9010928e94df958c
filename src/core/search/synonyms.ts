/**
 * Everyday English that says one thing in several words: who asks rarely uses the word that was used. Each line is a
 * field of life, each class of words is closed by a semicolon; a word may be in several. Words of a class count for
 * each other, but less than themselves.
 */
import { termOf } from './terms.ts';

const classes = `
kid child; child son daughter; son boy; daughter girl; baby infant newborn; parent mom dad; sibling brother sister;
spouse husband wife partner; boyfriend girlfriend partner; relative family; friend buddy pal mate; neighbor neighborhood;
colleague coworker; boss manager supervisor; person guy folk; member membership; leader lead; group team club;

job work career profession occupation; company business firm; employ hire; quit resign leave; dismiss layoff;
salary wage pay; earn pay; promotion promote; apply application; project task assignment; meeting appointment;
client customer; begin start; finish complete end; stop quit; continue keep; try attempt; create make build;
change modify update; improve better enhance; choose decide pick select; choice decision option; need require;
want wish desire; plan intend; goal plan aim objective; dream aspiration hope; achieve accomplish reach;
success achievement accomplishment; fail failure; win victory; award prize trophy medal;
compete competition contest tournament; participate attend join; collect collection; own possess; borrow lend;

big large huge; small little tiny; happy glad joy; excited thrilled; sad unhappy upset; angry mad;
scared afraid fear frightened; worry anxiety anxious concern; stress pressure; relax unwind destress calm chill;
tired exhausted; lonely alone; nervous anxious; grateful thankful; brave courage; beautiful gorgeous pretty stunning;
funny hilarious; smart intelligent clever; weird strange odd; difficult hard tough; easy simple;
important matter significant; dangerous risk danger threat; safe safety; delicious tasty yummy; favorite fave prefer;
love adore; enjoy like; hate dislike; hobby interest activity pastime; challenge difficulty struggle obstacle;
problem issue trouble; reason cause; result outcome; purpose aim; benefit advantage; skill ability talent; habit routine;

movie film; show series; book novel; story tale; song music tune; band concert; sing singer;
instrument guitar piano violin; paint painting art; draw drawing sketch; photo image; picture painting; sport game;
football soccer; exercise workout train; gym fitness; run jog marathon race; walk stroll; hike trail; swim pool;
bike cycling; camp camping tent; dance dancer; party celebration; festival fair; event occasion;
invite invitation; gift present; sign poster; trip travel vacation journey holiday; visit tour;
flight plane airplane; hotel accommodation; luggage baggage bag; car vehicle; road drive; city town; country nation;
abroad overseas; sea ocean beach; river lake; mountain hill; forest wood; nature outdoors; location place address;

house home; apartment flat; room bedroom; move relocate; rent lease; garden yard; shop store; restaurant cafe diner;
meal dinner lunch breakfast; food dish meal; cook bake; dessert cake; drink beverage; vegetable veggie;
clothes outfit clothing; dress outfit; jewelry necklace ring bracelet; buy purchase get; money cash; money financial fund;
donate donation charity; cheap inexpensive; expensive costly; cost price; bill invoice; refund reimburse;
pet dog cat; dog puppy pup; cat kitten; animal wildlife; plant flower;

school college university; class course lesson; study learn; study education; teach teacher; student pupil; exam test;
degree diploma; research study; professor teacher; sick ill; illness disease; hurt injury; accident crash;
doctor physician; hospital clinic; medicine drug medication; therapy therapist counseling; surgery operation; pain ache;
die death; pass die; pregnant pregnancy; birth born; birthday birth; funeral memorial; marry wedding marriage;
engaged engagement proposal; divorce separation breakup; relationship dating; age old; young youth;
help support assist aid; volunteer charity; church religion faith; army military soldier; government politics;
elect election campaign vote; law legal; lawyer attorney; police officer; protest march parade; damage destroy;

talk chat speak; discuss talk; conversation chat; say tell; advice suggestion tip; recommend suggest;
encourage motivate; inspire motivate inspiration; influence impact; explain describe; ask question;
answer reply response; promise vow; argue argument fight; update news; remember memory; remind reminder;
realize understand; think believe; opinion view; idea thought; symbol symbolize represent mean; name call;

computer laptop pc; phone mobile cellphone; internet online web; email mail; website site; software program;
error exception failure; bug defect; delete remove; folder directory; file document; function method;
password credential; login signin; deploy release; config setting; setup install; fix repair; test check;
verify check confirm; cancel cancellation; book reserve reservation; order purchase; ship deliver delivery;
return refund; exchange replace swap; upgrade update; rule policy;

often frequently; recently lately; soon shortly; maybe perhaps; currently now; annual yearly; daily everyday;
weekend saturday sunday; color colour; type kind; nearby close
`;

const synonyms = new Map<string, Set<string>>();
for (const line of classes.split(';')) {
  const terms = [...new Set(line.trim().split(/\s+/).map(termOf))];
  for (const term of terms) {
    const others = synonyms.get(term) ?? new Set();
    for (const other of terms) if (other !== term) others.add(other);
    synonyms.set(term, others);
  }
}

/** The terms that mean about the same as one; most have none. */
export function synonymsOf(term: string): ReadonlySet<string> {
  return synonyms.get(term) ?? none;
}

const none: ReadonlySet<string> = new Set();
