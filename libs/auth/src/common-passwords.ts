/**
 * The most common passwords of 8 and more characters, from what breaches have shown again and again, plus what the name of this
 * product suggests. In lower case: the comparison ignores case.
 */
export const COMMON_PASSWORDS: ReadonlySet<string> = new Set(
  `
  password password1 password12 password123 password1234 password01 password! passw0rd p@ssw0rd p@ssword passwort
  motdepasse contraseña contrasena senha123 12345678 123456789 1234567890 0123456789 123456789a 123456789q
  12345678910 1234567891 87654321 987654321 9876543210 0987654321 01234567 11111111 111111111 1111111111 00000000
  000000000 0000000000 22222222 33333333 44444444 55555555 66666666 77777777 88888888 99999999 999999999 12341234
  123123123 12312312 11223344 1122334455 12121212 11112222 112233445566 123321123 123454321 1q2w3e4r 1q2w3e4r5t
  1q2w3e4r5t6y 1qaz2wsx 1qaz2wsx3edc 1qazxsw2 zaq12wsx zaq1zaq1 q1w2e3r4 q1w2e3r4t5 qwe123qwe qweasdzxc qweqweqwe
  qwerty12 qwerty123 qwerty1234 qwerty12345 qwerty123456 qwertyui qwertyuiop qwertyu1 asdfghjk asdfghjkl asdf1234
  asdfasdf asdasdasd zxcvbnm1 zxcvbnm, zxcvbnm123 1234qwer qwer1234 qwerqwer 123qweasd 123qwe123 123456qwerty
  123456asdf a1234567 a12345678 a123456789 aa123456 aa12345678 aaaaaaaa aaa11111 abc12345 abc123456 abcd1234 abcdefgh
  abcdefg1 abcdefghi 1234abcd 123456ab 12345abc 123abc123 iloveyou iloveyou1 iloveyou2 iloveu123 ilovegod loveyou1
  loveme123 lovelove princess princess1 sunshine sunshine1 football football1 baseball baseball1 basketball superman
  superman1 batman123 pokemon1 pokemon123 dragon123 monkey123 shadow123 master123 michael1 jennifer jennifer1
  jessica1 michelle danielle samantha victoria elizabeth christian jonathan anthony1 nicholas benjamin alexander
  alexander1 alexandra veronica patricia isabella gabriela gabriel1 catherine stephanie carolina trustno1 starwars
  starwars1 whatever whatever1 computer computer1 internet internet1 mustang1 corvette mercedes ferrari1 liverpool
  liverpool1 chelsea1 arsenal1 barcelona manchester juventus realmadrid welcome1 welcome123 letmein1 letmein123
  changeme changeme1 changeme123 administrator admin123 admin1234 admin12345 admin123456 administrator1 root1234
  rootroot toor1234 test1234 testtest test123456 guest1234 user1234 default1 secret123 hello123 helloworld hellohello
  goodluck freedom1 charlie1 chocolate butterfly blink182 slipknot metallica nirvana1 rockstar midnight midnight1
  maverick scorpion hannah123 ashley123 cheese123 cookie123 pepper123 ginger123 buster123 killer123 hunter123
  ranger123 summer123 summer2023 summer2024 summer2025 winter2023 winter2024 winter2025 spring2024 autumn2024
  snowball snoopy123 tinkerbell cinderella babygirl babygirl1 sweetheart sweetie1 angel123 angelica lovely123
  marina123 natasha1 nastya123 svetlana tatiana1 ekaterina anastasia vladimir aleksandr aleksandra sergey123
  andrey123 dmitriy1 maksim123 пароль12 пароль123 пароль1234 йцукенгш йцукенгшщз qwertyйцукен йцукен123 привет123
  любовь123 солнышко наташа123 максим123 vpnvpnvpn vpnpassword vpn12345 vpn123456 wireguard wireguard1 myvpn123
  freevpn1 freevpn123 supervpn samsung1 samsung123 iphone123 android1 google123 facebook facebook1 instagram
  microsoft windows1 linux123 apple123 amazon123 netflix1 youtube1 minecraft minecraft1 roblox123 fortnite fortnite1
  playstation nintendo counter1 dota2dota warcraft worldofwarcraft callofduty qazwsxedc qazwsx123 qazxswedc wsxedcrfv
  147258369 1472583690 147852369 159357159 159753159 741852963 789456123 789456123a 963852741 321654987 456789123
  19841984 19851985 19861986 19871987 19881988 19891989 19901990 19911991 19921992 20002000 20082008 20102010
  01012000 01011990 01011980 31121999 12345679 13579246 24682468 13131313 10101010 78787878 69696969 420420420
  66669999
`
    .trim()
    .split(/\s+/),
);
