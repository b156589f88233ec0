"""Small files of exactly the formats in which well-known data sets are published, and what they hold."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["CASES", "Case", "Row", "written"]

SHA = "00000c289a1829a808ac09c00daf10bc3c4e223b"
Row = tuple[Any, ...]


@dataclass(frozen=True)
class Case:
    """Files of a folder, and what they hold."""

    loader: str
    files: dict[str, str | bytes]
    events: list[Row]
    """(user, item, further values in order of `columns`)"""
    columns: tuple[str, ...] = ()
    titles: dict[Any, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)


def lines(*rows: Any) -> str:
    return "".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows)


AMAZON = {"overall": 5.0, "reviewText": "good, really", "summary": "ok", "unixReviewTime": 1400000000}
MATRIX = ["2," + ",".join(["7.8", "-9.95", *["99"] * 98]), "1," + ",".join(["99"] * 99 + ["0.5"])]
MOMENT = "2014-05-13 16:53:20"
CASES = {
    "movielens-10m": Case(
        "movielens",
        {"ratings.dat": "1::122::5::838985046\n2::122::3.5::838983525\n2::185::4::838983526\n",
         "movies.dat": "122::Boomerang (1992)::Comedy|Romance\n185::Amélie (2001)::Comedy\n", "tags.dat": "1::1::x::1\n"},
        [(1, 122, 5.0), (2, 122, 3.5), (2, 185, 4.0)], ("rating",), {122: "Boomerang", 185: "Amélie"},
    ),
    "movielens-25m": Case(
        "movielens",
        {"ratings.csv": "userId,movieId,rating,timestamp\n1,296,5.0,1147880044\n2,296,3.5,1147868817\n",
         "movies.csv": 'movieId,title,genres\n296,"Net, The (1995)",(no genres listed)\n', "links.csv": "movieId\n1\n"},
        [(1, 296, 5.0), (2, 296, 3.5)], ("rating",), {296: "Net, The"},
    ),
    "amazon-2014": Case(
        "amazon_reviews",
        {"reviews_Beauty_5.json": lines({"reviewerID": "A1", "asin": "0001", "helpful": [0, 0], **AMAZON},
                                        {"reviewerID": "A2", "asin": "0002", "helpful": [0, 0], **AMAZON}),
         "meta_Beauty.json": "{'asin': '0001', 'title': \"It's\", 'categories': [['Beauty']]}\n{'asin': '0002'}\n"},
        [("A1", "0001", MOMENT, 5.0), ("A2", "0002", MOMENT, 5.0)], ("timestamp", "rating"), {"0001": "It's"},
    ),
    "amazon-2014-ratings": Case(
        "amazon_reviews", {"ratings_Beauty.csv": "A39HTATAQ9V7YF,0205616461,5.0,1400000000\nA3JM6GV9MNOF9X,0558925278,3.0,1400000000\n"},
        [("A39HTATAQ9V7YF", "0205616461", MOMENT, 5.0), ("A3JM6GV9MNOF9X", "0558925278", MOMENT, 3.0)],
        ("timestamp", "rating"),
    ),
    "amazon-2018-ratings": Case(
        "amazon_reviews", {"All_Beauty.csv": "0143026860,A1V6B6TNIC10QE,1.0,1400000000\n014789302X,A2XYZ6TNIC10QE,4.0,1400000000\n"},
        [("A1V6B6TNIC10QE", "0143026860", MOMENT, 1.0), ("A2XYZ6TNIC10QE", "014789302X", MOMENT, 4.0)],
        ("timestamp", "rating"),
    ),
    "amazon-2023": Case(
        "amazon_reviews",
        {"All_Beauty.jsonl": lines(
            {"rating": 4.0, "title": "t", "text": "x", "images": [], "asin": "B0", "parent_asin": "P1", "user_id": "U1",
             "timestamp": 1400000000000, "helpful_vote": 0, "verified_purchase": True},
            {"rating": 2.0, "title": "t", "text": "x", "images": [], "asin": "B1", "parent_asin": "P2", "user_id": "U2",
             "timestamp": 1400000000500, "helpful_vote": 0, "verified_purchase": True}),
         "meta_All_Beauty.jsonl": lines({"main_category": "Beauty", "title": "Soap", "parent_asin": "P1", "price": None})},
        [("U1", "P1", MOMENT, 4.0), ("U2", "P2", "2014-05-13 16:53:20.500", 2.0)], ("timestamp", "rating"), {"P1": "Soap"},
    ),
    "yelp": Case(
        "yelp",
        {"yelp_academic_dataset_review.json": lines(
            {"review_id": "r1", "user_id": "u1", "business_id": "b1", "stars": 4.0, "useful": 0, "text": "a\nb",
             "date": "2014-05-13 16:53:20"},
            {"review_id": "r2", "user_id": "u2", "business_id": "b2", "stars": 1.0, "useful": 0, "text": "c",
             "date": "2014-05-13 16:53:21"}),
         "yelp_academic_dataset_business.json": lines({"business_id": "b1", "name": "Bar", "categories": "Bars, Food"}),
         "yelp_academic_dataset_user.json": lines({"user_id": "u1", "name": "Ann", "review_count": 3})},
        [("u1", "b1", MOMENT, 4.0), ("u2", "b2", "2014-05-13 16:53:21", 1.0)], ("timestamp", "rating"), {"b1": "Bar"},
    ),
    "goodreads-csv": Case(
        "goodreads", {"goodreads_interactions.csv": "user_id,book_id,is_read,rating,is_reviewed\n0,948,1,5,0\n1,947,0,0,1\n"},
        [(0, 948, 5.0), (1, 947, 0.0)], ("rating",),
    ),
    "goodreads-genre": Case(
        "goodreads",
        {"goodreads_interactions_poetry.json.gz": gzip.compress(lines(
            {"user_id": "8842", "book_id": "1384", "review_id": "1", "is_read": False, "rating": 0,
             "review_text_incomplete": "", "date_added": "Wed May 09 09:33:44 -0700 2007", "date_updated": ""},
            {"user_id": "8843", "book_id": "1376", "review_id": "2", "is_read": True, "rating": 4,
             "review_text_incomplete": "", "date_added": "Tue May 08 09:33:44 -0700 2007", "date_updated": ""},
        ).encode())},
        [("8842", "1384", "2007-05-09 16:33:44", 0.0), ("8843", "1376", "2007-05-08 16:33:44", 4.0)],
        ("timestamp", "rating"),
    ),
    "steam-200k": Case(
        "steam", {"steam-200k.csv": '1,"Skyrim, The",purchase,1.0,0\n1,"Skyrim, The",play,273.0,0\n2,Dota 2,play,0.5,0\n'},
        [(1, "Skyrim, The", "purchase"), (1, "Skyrim, The", "play"), (2, "Dota 2", "play")], ("event",),
    ),
    "steam-reviews": Case(
        "steam",
        {"steam_reviews.json": "{u'username': u'ann', u'hours': 1.5, u'product_id': u'725', u'date': u'2014-05-13', u'text': u'\\xe9'}\n"
                               "{u'username': u'bob', u'product_id': u'328', u'date': u'2014-05-14', u'text': u''}\n",
         "steam_games.json": "{u'id': u'725', u'title': u'Portal'}\n{u'title': u'none'}\n"},
        [("ann", "725", "2014-05-13"), ("bob", "328", "2014-05-14")], ("timestamp",), {"725": "Portal"},
    ),
    "lastfm-hetrec": Case(
        "lastfm",
        {"user_artists.dat": "userID\tartistID\tweight\n2\t51\t13883\n3\t52\t11690\n", "artists.dat":
         'id\tname\turl\tpictureURL\n51\tDuran "D" Duran\tu\tp\n52\tMorcheeba\tu\tp\n', "user_friends.dat": "userID\tfriendID\n2\t3\n"},
        [(2, 51, 13883.0), (3, 52, 11690.0)], ("weight",), {51: 'Duran "D" Duran'},
    ),
    "lastfm-1k": Case(
        "lastfm",
        {"userid-timestamp-artid-artname-traid-traname.tsv":
         'user_000001\t2009-05-04T23:08:57Z\tf1\tDeep "Dish"\t\tFuck Me\nuser_000002\t2009-05-04T13:54:10Z\ta7\tx\t\tElegia\n',
         "userid-profile.tsv": "#id\tgender\tage\tcountry\tregistered\nuser_000001\tm\t\tJapan\tAug 13, 2006\n"},
        [("user_000001", "Fuck Me", "2009-05-04 23:08:57"), ("user_000002", "Elegia", "2009-05-04 13:54:10")], ("timestamp",),
    ),
    "lastfm-360k": Case(
        "lastfm",
        {"usersha1-artmbid-artname-plays.tsv": f"{SHA}\t3bd7\tbetty blowtorch\t2137\n{SHA[::-1]}\t\tdie Ärzte\t1099\n",
         "usersha1-profile.tsv": f"{SHA}\tf\t22\tGermany\tFeb 1, 2007\n"},
        [(SHA, "betty blowtorch", 2137.0), (SHA[::-1], "die Ärzte", 1099.0)], ("weight",),
    ),
    "mind": Case(
        "mind",
        {"behaviors.tsv": "1\tU13740\t11/11/2019 9:05:58 AM\tN55189 N42782\tN55689-1 N35729-0\n"
                          "2\tU91836\t11/12/2019 6:11:30 PM\t\tN20678-0 N39317-1\n",
         "news.tsv": "N55189\tlifestyle\troyals\tThe \"Brands\" Queen\tabstract\turl\t[]\t[]\nN55689\tnews\tx\tOther\t\turl\t[]\t[]\n"},
        [("U13740", "N55189", "2019-11-11 09:05:57"), ("U13740", "N42782", "2019-11-11 09:05:57"),
         ("U13740", "N55689", "2019-11-11 09:05:58"), ("U91836", "N39317", "2019-11-12 18:11:30")],
        ("timestamp",), {"N55189": 'The "Brands" Queen'},
    ),
    "book-crossing": Case(
        "book_crossing",
        {"BX-Book-Ratings.csv": '"User-ID";"ISBN";"Book-Rating"\n"276725";"034545104X";"0"\n"276726";"0155061224";"5"\n',
         "BX-Books.csv": '"ISBN";"Book-Title";"Book-Author"\n"034545104X";"Say \\"Caf\xe9\\"; now";"M"\n'.encode("latin-1"),
         "BX-Users.csv": '"User-ID";"Location";"Age"\n"276725";"tyler, texas, usa";NULL\n"276726";"seattle";"18"\n'},
        [(276725, "034545104X", 0.0), (276726, "0155061224", 5.0)], ("rating",), {"034545104X": 'Say "Café"; now'},
    ),
    "retailrocket": Case(
        "retailrocket",
        {"events.csv": "timestamp,visitorid,event,itemid,transactionid\n1400000000000,257597,view,355908,\n"
                       "1400000001000,992329,transaction,248676,4000\n"},
        [(257597, 355908, MOMENT, "view"), (992329, 248676, "2014-05-13 16:53:21", "transaction")], ("timestamp", "event"),
    ),
    "yoochoose-clicks": Case(
        "yoochoose", {"yoochoose-clicks.dat": "1,2014-04-07T10:51:09.277Z,214536502,0\n2,2014-04-07T10:54:09.868Z,214536500,S\n"},
        [(1, 214536502, "2014-04-07 10:51:09.277"), (2, 214536500, "2014-04-07 10:54:09.868")], ("timestamp",),
    ),
    "yoochoose-buys": Case(
        "yoochoose", {"yoochoose-buys.dat": "420374,2014-04-06T18:44:58.314Z,214537888,12462,1\n281626,2014-04-06T09:40:13.032Z,214535653,1883,2\n"},
        [(281626, 214535653), (420374, 214537888)],
    ),
    "diginetica": Case(
        "diginetica", {"train-item-views.csv": "sessionId;userId;itemId;timeframe;eventdate\n1;NA;81766;526309;2016-05-09\n1;NA;31331;26309;2016-05-09\n2;NA;31331;1031018;2016-05-10\n"},
        [(1, 31331, "2016-05-09 00:00:26.309"), (1, 81766, "2016-05-09 00:08:46.309"),
         (2, 31331, "2016-05-10 00:17:11.018")], ("timestamp",),
    ),
    "tmall": Case(
        "tmall",
        {"user_log_format1.csv": "user_id,item_id,cat_id,seller_id,brand_id,time_stamp,action_type\n328862,323294,833,2882,2661,0829,0\n328863,844400,1271,2882,2661,1111,2\n",
         "user_info_format1.csv": "user_id,age_range,gender\n328862,6,1\n"},
        [(328862, 323294, 829, 0.0), (328863, 844400, 1111, 2.0)], ("timestamp", "event"),
    ),
    "taobao": Case(
        "taobao", {"UserBehavior.csv": "1,2268318,2520377,pv,1511544070\n2,2333346,2520771,buy,1511561733\n"},
        [(1, 2268318, "pv"), (2, 2333346, "buy")], ("event",),
    ),
    "otto": Case(
        "otto",
        {"train.jsonl": lines({"session": 0, "events": [{"aid": 1517085, "ts": 1659304800025, "type": "clicks"},
                                                        {"aid": 1563459, "ts": 1659304904511, "type": "carts"}]},
                              {"session": 1, "events": [{"aid": 424964, "ts": 1659304800025, "type": "orders"}]})},
        [(0, 1517085, "clicks"), (0, 1563459, "carts"), (1, 424964, "orders")], ("event",),
    ),
    "hm": Case(
        "hm",
        {"transactions_train.csv": "t_dat,customer_id,article_id,price,sales_channel_id\n2018-09-22,00a,0663713001,0.05,2\n2018-09-20,00a,0541518023,0.03,2\n2018-09-20,00b,0541518023,0.03,2\n",
         "articles.csv": "article_id,product_code,prod_name\n0663713001,0663713,Strap top\n",
         "customers.csv": "customer_id,FN,Active,club_member_status,fashion_news_frequency,age,postal_code\n00a,,,ACTIVE,NONE,49.0,52\n"},
        [("00a", "0541518023", "2018-09-20"), ("00a", "0663713001", "2018-09-22"), ("00b", "0541518023", "2018-09-20")],
        ("timestamp",), {"0663713001": "Strap top"},
    ),
    "online-retail": Case(
        "online_retail",
        {"Online Retail.csv": "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
                              "536365,85123A,HEART,6,12/1/2010 8:26,2.55,17850,UK\n536366,71053,LAMP,2,12/1/2010 8:28,3.39,13047,UK\n"
                              "C536379,71053,LAMP,-2,12/2/2010 9:41,3.39,13047,UK\n536367,22752,BOX,2,12/1/2010 8:34,7.65,13047,UK\n"
                              "536370,22752,BOX,2,12/1/2010 8:45,7.65,,UK\n"},
        [(13047, "22752", "2010-12-01 08:34:00", 2.0), (17850, "85123A", "2010-12-01 08:26:00", 6.0)], ("timestamp", "weight"),
    ),
    "netflix": Case(
        "netflix",
        {"combined_data_1.txt": "1:\n1488844,3,2005-09-06\n822109,5,2005-05-13\n2:\n1488844,4,2005-09-05\n",
         "movie_titles.csv": "1,2003,Dinosaur Planet\n2,NULL,Isle of Man, The \xe9\n".encode("latin-1")},
        [(822109, 1, "2005-05-13", 5.0), (1488844, 2, "2005-09-05", 4.0), (1488844, 1, "2005-09-06", 3.0)],
        ("timestamp", "rating"), {1: "Dinosaur Planet", 2: "Isle of Man, The é"},
    ),
    "jester": Case(
        "jester", {"jester-data-1.csv": lines(*MATRIX)}, [(1, 1, 7.8), (1, 2, -9.95), (2, 100, 0.5)], ("rating",),
    ),
    "gowalla": Case(
        "gowalla",
        {"loc-gowalla_totalCheckins.txt": "0\t2010-10-19T23:55:27Z\t30.2359091167\t-97.7951395833\t22847\n"
                                          "0\t2010-10-18T22:17:43Z\t30.2691029532\t-97.7493953705\t420315\n1\t2010-10-17T23:42:03Z\t30.25\t-97.76\t316637\n"},
        [(0, 420315, "2010-10-18 22:17:43"), (0, 22847, "2010-10-19 23:55:27"), (1, 316637, "2010-10-17 23:42:03")],
        ("timestamp",),
    ),
    "foursquare": Case(
        "foursquare",
        {"dataset_TSMC2014_NYC.txt": "470\t49bbd6c0f964a520f4531fe3\t4bf58dd8d48988d127951735\tCaf\xe9\t40.7\t-74.0\t-240\tTue Apr 03 18:00:09 +0000 2012\n"
                                     "979\t4a43c0aef964a520c6a61fe3\t4bf58dd8d48988d1df941735\tBridge\t40.6\t-74.0\t-240\tTue Apr 03 18:00:25 +0000 2012\n".encode("latin-1")},
        [(470, "49bbd6c0f964a520f4531fe3", "2012-04-03 18:00:09"), (979, "4a43c0aef964a520c6a61fe3", "2012-04-03 18:00:25")],
        ("timestamp",),
    ),
    "social": Case("social", {"trust.txt": "1 2 1\n1 3 1\n2 1 1\n"}, [(1, 2), (1, 3), (2, 1)]),
    "recbole": Case(
        "recbole",
        {"games.inter": "user_id:token\titem_id:token\trating:float\ttimestamp:float\nu1\ti1\t3\t1400000000\nu2\ti2\t4\t1400000000\n",
         "games.item": "item_id:token\ttitle:token_seq\tgenre:token_seq\ni1\tThe Game\ta b\n"},
        [("u1", "i1", MOMENT, 3.0), ("u2", "i2", MOMENT, 4.0)], ("timestamp", "rating"),
    ),
    "personalize": Case(
        "personalize",
        {"interactions.csv": "USER_ID,ITEM_ID,TIMESTAMP,EVENT_TYPE\n35,35,1400000000,click\n36,54,1400000000,buy\n",
         "items.csv": "ITEM_ID,GENRES\n35,a|b\n", "users.csv": "USER_ID,AGE\n35,30\n"},
        [(35, 35, MOMENT), (36, 54, MOMENT)], ("timestamp",),
    ),
}  # fmt: skip


def written(folder: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return folder
